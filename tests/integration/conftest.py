"""A mesh for tests that only use it, shared by all of them; and one of its own for a test; OpenAI's
client at it. Every answer that a test gets is watched."""

from tests.declared import declared as declared
from tests.declared import watched as watched
from tests.openai_client import client as client
from tests.whole_mesh import mesh as mesh
from tests.whole_mesh import new_mesh as new_mesh
