import pytest

from chat_actors.server.transport.versions import TESTED, UntestedVersion, check_versions


def test_installed_versions_are_the_tested_ones():
    check_versions()


def test_other_version_is_refused_with_the_remedy():
    with pytest.raises(UntestedVersion) as caught:
        check_versions(lambda package: "9.9.9")
    assert str(caught.value) == (
        "hypercorn 9.9.9 is installed, but chat-actors relies on the inside of hypercorn "
        f"{TESTED['hypercorn']}; run: pip install 'hypercorn=={TESTED['hypercorn']}'"
    )
