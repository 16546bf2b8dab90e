"""Lets the shared contract suite explain its failures as test modules do."""

import pytest

pytest.register_assert_rewrite("tests.worker.engine_contract")
