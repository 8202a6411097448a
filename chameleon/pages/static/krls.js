// Leverage scores and Chameleon's weights from the affinity, as chameleon/krls.py computes them (numpy there,
// Jacobi rotations here): the same units, the same cut-offs. A test holds the two together to 1e-9.
"use strict";

const krls = (() => {
  const EPS = Number.EPSILON;
  const TINY = 2.2250738585072014e-308;
  const EPSILON = 1e-12;
  // Off-diagonal entries are left at this size, in units of the largest entry: below what rounding adds.
  const NEGLIGIBLE = EPS / 8;
  const SWEEPS = 60;

  // Eigenvalues and eigenvectors of a symmetric k x k matrix (row by row in a Float64Array, which is
  // overwritten); cyclic Jacobi. Returns values[j] and vectors[i * k + j], not sorted.
  function jacobi(a, k) {
    const v = new Float64Array(k * k);
    for (let i = 0; i < k; i++) v[i * k + i] = 1;
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      let rotated = false;
      for (let p = 0; p < k - 1; p++) {
        for (let q = p + 1; q < k; q++) {
          const apq = a[p * k + q];
          if (Math.abs(apq) <= NEGLIGIBLE) continue;
          rotated = true;
          const theta = (a[q * k + q] - a[p * k + p]) / (2 * apq);
          const root = Math.abs(theta) > 1e150 ? Math.abs(theta) : Math.sqrt(theta * theta + 1);
          const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + root);
          const c = 1 / Math.sqrt(t * t + 1), s = t * c, tau = s / (1 + c);
          const app = a[p * k + p] - t * apq, aqq = a[q * k + q] + t * apq;
          for (let i = 0; i < k; i++) {
            if (i !== p && i !== q) {
              const x = a[p * k + i], y = a[q * k + i];
              a[p * k + i] = a[i * k + p] = x - s * (y + tau * x);
              a[q * k + i] = a[i * k + q] = y + s * (x - tau * y);
            }
            const g = v[i * k + p], h = v[i * k + q];
            v[i * k + p] = g - s * (h + tau * g);
            v[i * k + q] = h + s * (g - tau * h);
          }
          a[p * k + p] = app;
          a[q * k + q] = aqq;
          a[p * k + q] = a[q * k + p] = 0;
        }
      }
      if (!rotated) break;
    }
    return { values: Float64Array.from({ length: k }, (_, i) => a[i * k + i]), vectors: v };
  }

  // The affinity in units of its largest entry as {k, size, mu, vectors}, eigenvalues from the largest to the
  // smallest, those of rounding size set to zero. Does not depend on the ridge: done once.
  function decompose(affinity) {
    const k = affinity.length;
    let size = 0;
    for (const row of affinity) for (const x of row) size = Math.max(size, Math.abs(x));
    if (size === 0) return { k, size, mu: new Float64Array(k), vectors: new Float64Array(k * k) };
    const a = new Float64Array(k * k);
    for (let i = 0; i < k; i++) {
      for (let j = 0; j < k; j++) a[i * k + j] = (affinity[i][j] / size + affinity[j][i] / size) / 2;
    }
    const { values, vectors } = jacobi(a, k);
    const order = [...values.keys()].sort((i, j) => values[j] - values[i]);
    const cut = k * EPS * values[order[0]];
    const mu = Float64Array.from(order, (j) => (values[j] <= cut ? 0 : values[j]));
    const sorted = new Float64Array(k * k);
    for (let i = 0; i < k; i++) order.forEach((j, at) => (sorted[i * k + at] = vectors[i * k + j]));
    return { k, size, mu, vectors: sorted };
  }

  // kλ in units of the affinity's largest entry.
  function ridgeOf(parts, ridge) {
    return Math.max(parts.k * (ridge / parts.size), TINY);
  }

  function leverageScores(parts, ridge, normalise) {
    const { k, mu, vectors } = parts;
    if (parts.size === 0) return new Array(k).fill(normalise ? 1 / k : 0);
    const kl = ridgeOf(parts, ridge), scale = Math.max(kl, 1), rest = Math.min(kl, 1);
    const factor = mu.map((m) => m / (m / scale + rest));
    const scores = [];
    for (let i = 0; i < k; i++) {
      let sum = 0;
      for (let j = 0; j < k; j++) sum += vectors[i * k + j] ** 2 * factor[j];
      scores.push(sum);
    }
    const top = largest(scores), cut = k * EPS * top;
    const kept = scores.map((s) => (s <= cut ? 0 : s));
    const total = normalise ? kept.reduce((x, y) => x + y, 0) : scale;
    return kept.map((s) => s / total);
  }

  // How much of each direction counts, μ/(μ + kλ), from the largest eigenvalue to the smallest.
  function shares(parts, ridge) {
    if (parts.size === 0) return new Array(parts.k).fill(0);
    const kl = ridgeOf(parts, ridge);
    return Array.from(parts.mu, (m) => m / (m + kl));
  }

  function pretrainWeights(scores, temperature) {
    return softmax(scores.map((s) => 1 / (s + EPSILON)), temperature);
  }

  function finetuneWeights(scores, temperature) {
    return softmax(scores, temperature);
  }

  function softmax(values, temperature) {
    const top = largest(values);
    const powers = values.map((x) => Math.exp((x - top) / temperature));
    const total = powers.reduce((x, y) => x + y, 0);
    return powers.map((x) => x / total);
  }

  function largest(values) {
    return values.reduce((x, y) => Math.max(x, y), -Infinity);
  }

  return { decompose, leverageScores, shares, pretrainWeights, finetuneWeights };
})();
