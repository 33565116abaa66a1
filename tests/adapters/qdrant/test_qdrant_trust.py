"""TLS to a Qdrant server, over REST and gRPC, with real certificates: whom a client trusts, and who trusts it."""

import ssl

import grpc
import pytest
import trustme
from doubles.qdrant_double import QdrantDouble
from doubles.qdrant_grpc_double import QdrantGrpcDouble
from qdrant_world import options

from adapters.qdrant.opening import open_server
from adapters.qdrant.options import Trust
from stream.errors import Fatal, Misuse, Outage


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def files(tmp_path, authority):
    """``files(authority)``: PEM files of an authority, and of a client's certificate of it."""

    def write(signer=authority):
        issued = signer.issue_cert("client@example.org")
        where = {name: tmp_path / f"{id(signer)}-{name}.pem" for name in ("ca", "certificate", "key")}
        signer.cert_pem.write_to_path(where["ca"])
        issued.cert_chain_pems[0].write_to_path(where["certificate"])
        issued.private_key_pem.write_to_path(where["key"])
        return {name: str(path) for name, path in where.items()}

    return write


@pytest.fixture(params=["rest", "grpc"])
def serve(request, authority):
    """``serve(mutual=…)``: a double behind a certificate of the authority."""
    doubles = []

    def make(*, mutual=False):
        issued = authority.issue_cert("127.0.0.1", "localhost")
        if request.param == "rest":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            issued.configure_cert(context)
            if mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                authority.configure_trust(context)
            doubles.append(QdrantDouble(tls=context))
        else:
            pair = (issued.private_key_pem.bytes(), b"".join(pem.bytes() for pem in issued.cert_chain_pems))
            roots = authority.cert_pem.bytes() if mutual else None
            credentials = grpc.ssl_server_credentials([pair], roots, mutual)
            doubles.append(QdrantGrpcDouble(tls=credentials))
        return doubles[-1]

    yield make
    for double in doubles:
        double.close()


@pytest.fixture
def collections():
    """What a client with this trust is told."""
    opened = []

    def ask(double, trust, **more):
        catalog = open_server(options(double.url, trust=trust, **more))
        opened.append(catalog)
        return catalog.collections()

    yield ask
    for catalog in opened:
        catalog.close()


def test_a_server_whose_authority_is_named_is_trusted(serve, files, collections):
    assert collections(serve(), Trust(files()["ca"]), api_key="a-key") == []


def test_a_server_of_another_authority_is_refused_and_never_retried(serve, files, collections):
    double = serve()
    for trust in (Trust(), Trust(files(trustme.CA())["ca"])):
        with pytest.raises(Fatal, match=r"index\.qdrant\.ca_location"):
            collections(double, trust)
    assert double.faults.seen == []


def test_a_server_that_asks_for_a_certificate_is_shown_one(serve, files, collections):
    own = files()
    assert collections(serve(mutual=True), Trust(own["ca"], own["certificate"], own["key"])) == []


def test_without_the_certificate_it_asks_for_nothing_is_told(serve, files, collections):
    double = serve(mutual=True)
    with pytest.raises((Fatal, Outage)):
        collections(double, Trust(files()["ca"]))
    assert double.faults.seen == []


def test_a_file_that_is_no_certificate_is_misuse(serve, tmp_path, collections):
    broken = tmp_path / "broken.pem"
    double = serve()
    with pytest.raises(Misuse):
        collections(double, Trust(str(tmp_path / "absent.pem")))
    broken.write_text("no certificate")
    with pytest.raises(Fatal):
        collections(double, Trust(str(broken)))
