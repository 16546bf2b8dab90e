"""Settings: one frozen Struct per service, read once at the top and passed down.

A value comes from the command's flag, else from the environment (`MESH_` and the field's name in
capitals), else from `mesh.toml` in the working folder, else from the user's own `mesh.toml`, else
from the default. Nothing here opens a connection, and nothing is read at import.
"""

from mesh.settings.addresses import LOOPBACK as LOOPBACK
from mesh.settings.addresses import broker_url as broker_url
from mesh.settings.addresses import gateway_url as gateway_url
from mesh.settings.addresses import reachable as reachable
from mesh.settings.base import YEAR as YEAR
from mesh.settings.base import Limits as Limits
from mesh.settings.base import Settings as Settings
from mesh.settings.gateway import GatewaySettings as GatewaySettings
from mesh.settings.known import KINDS as KINDS
from mesh.settings.operator import OperatorSettings as OperatorSettings
from mesh.settings.operator import UpSettings as UpSettings
from mesh.settings.reading import Origin as Origin
from mesh.settings.reading import config_files as config_files
from mesh.settings.reading import env_name as env_name
from mesh.settings.reading import origins as origins
from mesh.settings.reading import read as read
from mesh.settings.store import StoreSettings as StoreSettings
from mesh.settings.worker import WorkerSettings as WorkerSettings
