# The types of what `__init__.py` loads lazily; a test keeps the two alike.
from sealtune.bundle.dataset import RecordFields as RecordFields
from sealtune.bundle.dataset import Task as Task
from sealtune.bundle.open import BundleInfo as BundleInfo
from sealtune.bundle.open import OpenSummary as OpenSummary
from sealtune.bundle.open import inspect_bundle as inspect_bundle
from sealtune.bundle.open import open_to_folder as open_to_folder
from sealtune.bundle.open import rewrap as rewrap
from sealtune.bundle.reader import verify_body as verify_body
from sealtune.bundle.seal import SealSummary as SealSummary
from sealtune.bundle.seal import seal_data as seal_data
from sealtune.bundle.seal import seal_model as seal_model
from sealtune.contract.diff import Change as Change
from sealtune.contract.diff import diff_contracts as diff_contracts
from sealtune.contract.files import ContractFile as ContractFile
from sealtune.contract.files import read_contract_file as read_contract_file
from sealtune.contract.files import sign_contract_file as sign_contract_file
from sealtune.contract.files import verify_contract_file as verify_contract_file
from sealtune.contract.files import write_contract_draft as write_contract_draft
from sealtune.contract.show import contract_lines as contract_lines
from sealtune.crypto.identity import Identity as Identity
from sealtune.crypto.identity import PublicIdentity as PublicIdentity
from sealtune.crypto.identity import create_identity as create_identity
from sealtune.crypto.identity import load_identity as load_identity
from sealtune.crypto.identity import load_public_identity as load_public_identity
from sealtune.tee.measure import EnclaveModule as EnclaveModule
from sealtune.tee.measure import enclave_modules as enclave_modules
from sealtune.tee.measure import measure_enclave_code as measure_enclave_code
from sealtune.testing.mock_amd import make_mock_amd as make_mock_amd

__version__: str
