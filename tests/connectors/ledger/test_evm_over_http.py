"""The ledger over a real node's JSON-RPC: deployed by the command, several senders with one key, reorganisations."""

import logging
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from tests.markets import address_named
from tests.servers.processes import ServerProcess

from foedus.connectors.addresses import BadAddress
from foedus.core.market.dids import Did
from foedus.core.market.escrow import Outcome, Terms, Window, Windows
from foedus.ports.ledger import Order
from foedus.wallet.keys import Key

pytest.importorskip("web3", reason="web3 is not installed")
from web3 import HTTPProvider, Web3

from foedus.connectors.ledger.evm.chain import WrongChain
from foedus.connectors.ledger.evm.ledger import EvmLedger
from foedus.connectors.secrets.file import FileSecrets

pytestmark = pytest.mark.slow
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHAIN = 31415
KEY = Key(b"\x21" * 32)
DID = Did(b"\x05" * 32)
ANVIL = "@foundry-rs/anvil@1.7.1"


@pytest.fixture(scope="module")
def anvil(tmp_path_factory):
    """The program of a node for development: the one that is there, or one that npm fetches."""
    if found := shutil.which("anvil"):
        return found
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("neither anvil nor npm is installed")
    folder = tmp_path_factory.mktemp("anvil")
    command = [npm, "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(folder), ANVIL]
    if subprocess.run(command, capture_output=True, check=False, timeout=100).returncode:
        pytest.skip(f"npm could not fetch {ANVIL}")
    return str(next(folder.glob("node_modules/@foundry-rs/anvil-*/bin/anvil")))


@pytest.fixture(scope="module")
def node(anvil):
    process = ServerProcess([anvil, "--port", "0", "--chain-id", str(CHAIN)], ready="Listening on")
    yield Web3(HTTPProvider(f"http://{process.ready_line.split()[-1]}"))
    process.terminate()


def ask(node, method, *parameters):
    answer = node.provider.make_request(method, list(parameters))
    assert "error" not in answer, answer
    return answer["result"]


@contextmanager
def mining(node):
    """Blocks that come by themselves, ten a second."""
    ended = threading.Event()

    def mine():
        while not ended.wait(0.1):
            ask(node, "anvil_mine")

    thread = threading.Thread(target=mine)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    secret = folder / "secrets" / "market-node-key"
    secret.parent.mkdir(mode=0o700)
    secret.write_text(KEY.secret.hex())
    secret.chmod(0o600)
    return folder


@pytest.fixture(scope="module")
def foedus(data):
    settings = {name: value for name, value in os.environ.items() if not name.startswith("FOEDUS_")}
    settings["FOEDUS_DATA"] = str(data)

    def run(*words):
        command = [sys.executable, "-m", "foedus", "market", *words]
        return subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=100)

    return run


@pytest.fixture(scope="module")
def address(foedus, node, data):
    """The ledger's, deployed by the command and saved."""
    ask(node, "anvil_setBalance", KEY.address, hex(10**20))
    with mining(node):
        done = foedus("deploy", str(node.provider.endpoint_uri), "--save")
    assert done.returncode == 0, done.stderr
    assert (data / "foedus.toml").read_text() == f'ledger = "{done.stdout.strip()}"\n'
    return done.stdout.strip()


def opened(address, data, **options):
    more = "".join(f"&{name}={value}" for name, value in options.items())
    return EvmLedger.from_url(address + more, data=data, secrets=FileSecrets(data / "secrets"))


@pytest.fixture
def ledger(node, address, data):
    with mining(node):
        yield opened(address, data, confirmations=1)


def agreed(ledger, seed):
    """An agreement of the one key there is with itself, for the sake of others."""
    ledger.register(DID, owner=KEY.address, providers=[], now=NOW)
    terms = Terms(
        did=DID, consumer=KEY.address, amounts=(10, 2), receivers=(address_named("a"), address_named(f"{seed}")),
        token=ledger.network().token, return_address=KEY.address,
    )  # fmt: skip
    wanted = Order(seed=bytes([seed]) * 32, creator=KEY.address, terms=terms, windows=Windows(compute=Window(0, 9999)))
    return ledger.create(wanted, now=NOW).id


def test_an_agreement_goes_from_order_to_shares(ledger, caplog):
    caplog.set_level(logging.DEBUG)
    token = ledger.network().token
    ledger.mint(KEY.address, token, 12, reference="a", now=NOW)
    made = agreed(ledger, 1)

    ledger.lock(made, payer=KEY.address, now=NOW)
    ledger.grant(made, by=KEY.address, now=NOW)
    settled = ledger.settle(made, by=KEY.address, now=NOW)

    assert settled.outcome is Outcome.RELEASED
    assert [ledger.balance(address_named(name), token) for name in ("a", "1")] == [10, 2]
    assert [(str(each.kind), each.amount) for each in ledger.statement(KEY.address)] == [("lock", -12), ("mint", 12)]
    assert ledger.network().id.startswith(f"evm:{CHAIN}:")
    assert KEY.secret.hex() not in caplog.text


def test_the_key_is_nowhere_that_is_printed(foedus, node, address):
    again = foedus("deploy", str(node.provider.endpoint_uri), "--save")
    poor = foedus("deploy", "http://127.0.0.1:9")

    for refused, words in ((again, "a ledger is set already"), (poor, "Error")):
        assert refused.returncode == 1
        assert words in refused.stderr
        assert KEY.secret.hex() not in refused.stdout + refused.stderr


def test_who_cannot_pay_for_gas_is_named(foedus, node, data, address):
    ask(node, "anvil_setBalance", KEY.address, hex(0))

    poor = foedus("deploy", str(node.provider.endpoint_uri))
    ask(node, "anvil_setBalance", KEY.address, hex(10**20))

    assert (poor.returncode, KEY.address in poor.stderr) == (1, True), poor.stderr


def test_another_chain_is_refused_and_so_is_one_without_the_contracts(address, data):
    with pytest.raises(WrongChain, match=f"of chain {CHAIN}, and the ledger is on chain 1"):
        opened(address.replace(f"chain_id={CHAIN}", "chain_id=1"), data)
    contract = address.split("contract=")[1][:42]
    with pytest.raises(BadAddress, match="There is nothing on chain"):
        opened(address.replace(contract, address_named("nobody")), data)


def test_several_processes_with_one_key_take_numbers_in_turn(address, data):
    """Each connector numbers its own transactions, as processes do that know nothing of each other."""
    ledgers = [opened(address, data, confirmations=0) for _ in range(3)]
    token = ledgers[0].network().token
    rich = address_named("rich")

    with ThreadPoolExecutor(3) as threads:
        for ledger, name in zip(ledgers, "xyz", strict=True):
            threads.submit(lambda ledger=ledger, name=name: [
                ledger.mint(rich, token, 1, reference=f"{name}{i}", now=NOW) for i in range(4)
            ])  # fmt: skip

    assert ledgers[0].balance(rich, token) == 12


def test_what_a_reorganisation_throws_out_was_never_reported_and_is_done_again(node, address, data):
    sure = opened(address, data, confirmations=6)
    hasty = opened(address, data, confirmations=0)
    hasty.mint(KEY.address, hasty.network().token, 12, reference="reorganised", now=NOW)
    made = agreed(hasty, 2)
    ask(node, "anvil_mine", "0x8")

    hasty.lock(made, payer=KEY.address, now=NOW)
    before = sure.get(made, now=NOW)
    ask(node, "anvil_reorg", 3, [])
    after = hasty.get(made, now=NOW)

    assert (before.is_locked, after.is_locked) == (False, False)
    assert hasty.lock(made, payer=KEY.address, now=NOW).is_locked
    assert hasty.balance(KEY.address, hasty.network().token) == 0
