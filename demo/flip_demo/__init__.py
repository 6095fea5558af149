"""A whole federation on one machine: for `scripts/demo`, the tests and the benches. Not part of the product."""
