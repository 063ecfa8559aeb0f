"""A table that uses most of the vocabulary."""

OWN = """
name: mine
size: 32
norm: {eps: 0.001}
body:
  conv1: {conv: 8, kernel: 3, stride: 2}
  mix:
    fork:
      - {conv: 4}
      - [{conv: 4}, {conv: 8, kernel: [1, 3]}, {conv: 8, kernel: [3, 1]}]
      - [{pool: max}, {conv: 4}]
  add: {residual: [{conv: 4}, {conv: 16, norm: false, relu: false}], scale: 0.2}
  pool: {pool: max, stride: 2, pad: ceil}
head:
  avgpool: global_average
  dropout: {dropout: 0.2}
aux: [mix]
aux_head:
  avgpool: {pool: avg, kernel: 5, stride: 3, pad: valid}
  fc: {linear: 8}
"""
