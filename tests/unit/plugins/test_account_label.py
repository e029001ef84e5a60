from acmectl.plugin.api import account_label


def test_the_label_is_that_of_the_draft() -> None:
    # The example of draft-ietf-acme-dns-account-label.
    assert account_label("https://example.com/acme/acct/ExampleAccount") == "_ujmmovf2vn55tgye"
