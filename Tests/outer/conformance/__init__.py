"""The behaviour that Kubernetes' conformance tests ask of an API server and its controllers, a file per area of test/e2e. The first line of a test's docstring is the exact
name of the conformance test whose behaviour it checks; several lines when it checks several. `test_names.py` counts them."""
