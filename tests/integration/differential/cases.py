"""All cases."""

from tests.integration.differential.cases_asked import ASKED
from tests.integration.differential.cases_field import FIELD
from tests.integration.differential.cases_issue import ISSUE
from tests.integration.differential.cases_manage import MANAGE
from tests.integration.differential.cases_renew import RENEW
from tests.integration.differential.cases_usage import USAGE

CASES = (*FIELD, *ISSUE, *RENEW, *MANAGE, *USAGE, *ASKED)
