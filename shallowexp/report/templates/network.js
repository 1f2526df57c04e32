// The network of shallowexp/network/ again, for the page: two inputs, one hidden layer, one sigmoid output, full-batch descent.
// passes.py is the definition. Each unit's sums run in the same order, so units that start equal stay equal to the last bit.

const sigmoid = z => { const e = Math.exp(-Math.abs(z)); return (z >= 0 ? 1 : e) / (1 + e); };
const sigmoidSlope = z => { const e = Math.exp(-Math.abs(z)); return e / ((1 + e) * (1 + e)); };

const ACTIVATIONS = {  // of activations.py; steep: |z| below which the slope is not flat
  sigmoid: { g: sigmoid, slope: sigmoidSlope, invariance: "sign", maxSlope: 0.25, steep: 2 * Math.acosh(10) },
  tanh: { g: Math.tanh, slope: z => 4 * sigmoidSlope(2 * z), invariance: "sign", maxSlope: 1, steep: Math.acosh(10) },
  relu: { g: z => Math.max(z, 0), slope: z => z > 0 ? 1 : 0, invariance: "positive scale", maxSlope: 1 },
  leaky_relu: { g: z => z > 0 ? z : 0.01 * z, slope: z => z > 0 ? 1 : 0.01, invariance: "positive scale", maxSlope: 0 },
};

const FLAT = 0.01, TOLERANCE = 1e-6;  // of diagnostics.py

// Parameters are one array: W1 row by row (2n), W2 (n), b1 (n), b2. `draws` are randn's numbers, in initializers.py's order.
function initial(init, n, scale, noise, draws) {
  const weight = {
    zero: () => 0,
    constant: () => scale,
    random: k => draws[k] * scale,
    duplicate: k => draws[k < 2 * n ? k % 2 : 2 * n] * scale + (k < 2 || k === 2 * n ? 0 : draws[3 * n + k] * noise),
  }[init];
  return Float64Array.from({ length: 4 * n + 1 }, (_, k) => k < 3 * n ? weight(k) : 0);
}

class Network {
  constructor({ x1, x2, y }, parameters, activation) {
    const m = y.length, n = (parameters.length - 1) / 4;
    const [X1, X2, Y] = [x1, x2, y].map(values => Float64Array.from(values));
    const [Z1, A1] = [0, 0].map(() => new Float64Array(n * m)), [Z2, dZ2] = [0, 0].map(() => new Float64Array(m));
    Object.assign(this, { n, m, X1, X2, Y, Z1, A1, Z2, dZ2, parameters, activation, step: 0 });
    this.forward();
  }

  forward() {
    const { n, m, X1, X2, Z1, A1, Z2, parameters: p, activation: { g } } = this;
    Z2.fill(0);
    for (let j = 0; j < n; j++)
      for (let i = 0, k = j * m; i < m; i++, k++) {
        Z1[k] = p[2 * j] * X1[i] + p[2 * j + 1] * X2[i] + p[3 * n + j];
        A1[k] = g(Z1[k]);
        Z2[i] += p[2 * n + j] * A1[k];
      }
    for (let i = 0; i < m; i++) Z2[i] += p[4 * n];
  }

  descend(rate) {
    const { n, m, X1, X2, Y, Z1, A1, Z2, dZ2, parameters: p, activation: { slope } } = this;
    let db2 = 0;
    for (let i = 0; i < m; i++) db2 += dZ2[i] = sigmoid(Z2[i]) - Y[i];
    for (let j = 0; j < n; j++) {
      let dw1 = 0, dw2 = 0, dW2 = 0, db1 = 0;
      for (let i = 0, k = j * m; i < m; i++, k++) {
        const dZ1 = p[2 * n + j] * dZ2[i] * slope(Z1[k]);
        dw1 += dZ1 * X1[i];
        dw2 += dZ1 * X2[i];
        db1 += dZ1;
        dW2 += dZ2[i] * A1[k];
      }
      p[2 * j] -= rate * (dw1 / m);
      p[2 * j + 1] -= rate * (dw2 / m);
      p[2 * n + j] -= rate * (dW2 / m);
      p[3 * n + j] -= rate * (db1 / m);
    }
    p[4 * n] -= rate * (db2 / m);
    this.step++;
    this.forward();
  }

  measure() {
    const { n, m, Y, Z1, Z2, parameters: p, activation: { slope, invariance, maxSlope } } = this;
    let loss = 0, right = 0, flat = 0;
    for (let i = 0; i < m; i++) {
      loss += Math.max(Z2[i], 0) - Z2[i] * Y[i] + Math.log1p(Math.exp(-Math.abs(Z2[i])));
      right += (Z2[i] > 0) === (Y[i] > 0);
    }
    for (const z of Z1) flat += slope(z) < FLAT * maxSlope;
    const units = new Set(classes(p, n, invariance)).size;
    return { loss: loss / m, accuracy: right / m, units, saturated: flat / (n * m) };
  }
}

// Of each hidden unit the first one that the activation cannot tell from it, as effective_units in diagnostics.py counts them.
function classes(p, n, invariance) {
  const rows = Array.from({ length: n }, (_, j) => [p[2 * j], p[2 * j + 1], p[3 * n + j]]);
  let norms = rows.map(row => Math.hypot(...row));
  if (invariance === "positive scale") {
    rows.forEach((row, j) => row.forEach((value, k) => { row[k] = value / (norms[j] || 1); }));
    norms = norms.map(norm => norm > 0 ? 1 : 0);
  }
  const distance = (a, b, sign) => Math.hypot(...rows[a].map((value, k) => value - sign * rows[b][k]));
  const same = (a, b) => {
    const apart = Math.min(distance(a, b, 1), invariance === "sign" ? distance(a, b, -1) : Infinity);
    return apart <= TOLERANCE * Math.max(norms[a], norms[b]);
  };
  const firsts = [];
  return rows.map((_, j) => {
    const found = firsts.find(first => same(first, j));
    if (found === undefined) firsts.push(j);
    return found ?? j;
  });
}

// z2 of a point, and the output there: what boundary and shades are drawn from.
function score(p, n, g, x, y) {
  let z = p[4 * n];
  for (let j = 0; j < n; j++) z += p[2 * n + j] * g(p[2 * j] * x + p[2 * j + 1] * y + p[3 * n + j]);
  return z;
}
