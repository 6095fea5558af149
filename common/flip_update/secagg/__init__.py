"""Secure aggregation (SecAgg+): the hub learns the weighted mean of many updates, and no single one.

Bell et al., Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, 2020, after Bonawitz et al., Practical
Secure Aggregation for Privacy-Preserving Machine Learning, 2017. A round is up to four questions and answers
(`messages`); `device` and `hub_round` are its two ends. What is done otherwise, and whom it protects from what:
docs/decisions/41-secagg.md.
"""
