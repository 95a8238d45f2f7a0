"""Print the cases of a spec, as JSON; runs where the suite is: cases.py SPEC.json"""

import json
import sys
from pathlib import Path

from autobahntestsuite import case
from autobahntestsuite.caseset import CaseSet

if __name__ == "__main__":
    known = CaseSet(
        case.CaseSetname, case.CaseBasename, case.Cases, case.CaseCategories, case.CaseSubCategories
    )
    print(json.dumps(known.parseSpecCases(json.loads(Path(sys.argv[1]).read_text()))))
