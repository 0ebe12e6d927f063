"""Putting the contracts on a chain, once in the life of a market."""

from foedus.connectors.addresses import BadAddress
from foedus.connectors.ledger.evm.chain import Chain
from foedus.connectors.ledger.evm.contracts import artifact
from foedus.ports.ledger import NoFunds
from foedus.wallet.keys import Key


def deploy(chain: Chain, operator: Key) -> tuple[str, str]:
    """Put both contracts on the chain; their addresses: of the agreements, and of the token."""
    made = []
    for name in ("Agreements", "Token"):
        found = artifact(name)
        factory = chain.web3.eth.contract(abi=found["abi"], bytecode=found["bytecode"])
        made.append(str(chain.send(factory.constructor(), operator.address)["contractAddress"]))
    return made[0], made[1]


def deploy_at(node: str, operator: Key) -> str:
    """Put both contracts on the chain of a node; the address of the ledger that they are.

    Raises NoFunds naming the operator's address where that cannot pay for it.
    """
    if not node.startswith(("http://", "https://")) or "?" in node:
        raise BadAddress("A node is at http://NODE:PORT or https://NODE.", scheme="evm")
    chain = Chain.at(node, operator, confirmations=2)
    first = chain.head()
    try:
        contract, token = deploy(chain, operator)
    except NoFunds as exc:
        raise NoFunds(f"{operator.address}, this server's address, cannot pay for gas; send it some coin") from exc
    return f"evm:{node}?contract={contract}&token={token}&chain_id={chain.id}&since={first}"
