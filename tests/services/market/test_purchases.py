from foedus.core.market.dids import Did
from foedus.core.market.escrow import Contracts, Terms
from foedus.services.market.purchases import (
    agreement_id,
    compute_hash,
    condition_ids,
    escrow_hash,
    lock_hash,
)


def address(byte):
    return "0x" + f"{byte:02x}" * 20


CONTRACTS = Contracts(lock=address(0x11), compute=address(0x22), escrow=address(0xEE))
TERMS = Terms(
    did=Did.parse("did:nv:162ce52ed2edd31c5c1017d10f054dd89fe97dc3f38cfabd3678b0075b835814"),
    consumer=address(0xCC),
    amounts=(10, 2),
    receivers=(address(0xAA), address(0xBB)),
    token=address(0xDD),
    return_address=address(0xCC),
)
AGREEMENT = "768bcfd48eb09276fb45efc288bfbbbd1a2e91363b9a47cb597b5d6fc796c2f4"


def test_the_published_ids_and_hashes_come_out():
    agreement = agreement_id(bytes([7]) * 32, address(0xCC))
    ids = condition_ids(agreement, TERMS, CONTRACTS)

    assert agreement.hex() == AGREEMENT
    assert lock_hash(TERMS, CONTRACTS).hex() == "f80b686de894df5de599fffb262daaecec4b4cf173dd05229702f1bbf32683a1"
    assert ids.lock.hex() == "204e769b80f088a766e904e59bc578992fa00f58ced4771feaea76ed8eb54421"
    assert compute_hash(TERMS).hex() == "7ae833786f07afe5d625306b12eeb6048269e18f509be6d6d5cc803891a07aa6"
    assert ids.compute.hex() == "dde1796d1cf78de3da22d5bfb7ab999525a9eee619ecc5a655e766a1620dbb72"
    assert (
        escrow_hash(TERMS, CONTRACTS, ids.lock, [ids.compute]).hex()
        == "2e87a04084c021a8da11da9b0d202e77195b41b63466802d67b27cad21cbb54e"
    )
    assert ids.escrow.hex() == "8c4f0fefb8b5bfe523343f1d8cc7bdfad44f11afe7d0b893aeec6f146a3c1a43"
