"""Zero-shot methods: networks that are fitted to each test image when it is scored, without any training set.

A method is a `drnbench.zeroshot.base.ZeroShot`, built by a factory that is registered among the models with
`zero_shot=True`, so a study names it like any other method.
"""
