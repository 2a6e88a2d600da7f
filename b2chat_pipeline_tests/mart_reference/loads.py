"""What was received and loaded."""

from collections import defaultdict
from collections.abc import Iterator

from b2chat_pipeline_tests.mart_reference.account import Account, Row
from b2chat_pipeline_tests.mart_reference.figures import HOUR, grouped, hours_between, mart, share


@mart
def load_completeness(account: Account) -> Iterator[Row]:
    loads = grouped(
        (it for it in account.ledger if it["received"] != it["outside"]), lambda it: (it["entity"], it["hour_start"])
    )
    endpoints = {"chats": "/chats/export", "contacts": "/contacts/export"}
    wanted = {
        (entity, hour)
        for entity, endpoint in endpoints.items()
        for hour in hours_between(min(account.hours[endpoint]), max(account.hours[endpoint]) + HOUR)
    }
    for entity, hour in {*wanted, *loads}:
        told = sorted(loads.get((entity, hour), []), key=lambda it: (it["loaded_at"], it["sync_id"]))
        is_loaded = bool(told) or hour in account.hours[endpoints[entity]]
        late = [it for it in told if it["loaded_at"] > told[0]["loaded_at"]]
        row: Row = {"entity": entity, "hour_start": hour, "is_loaded": is_loaded, "loads_with_records": len(told)}
        row |= dict.fromkeys(("expected", "loaded", "quarantined", "late", "late_by_over_a_day"))
        if is_loaded:
            newest = defaultdict(int, told[-1] if told else {})
            loaded = newest["inserted"] + newest["updated"] + newest["unchanged"] + newest["older"]
            row |= {"expected": newest["received"] - newest["repeated"] - newest["outside"], "loaded": loaded}
            row |= {"quarantined": newest["quarantined"], "late": sum(it["inserted"] for it in late)}
            row["late_by_over_a_day"] = sum(it["inserted"] for it in late if it["loaded_at"] > hour + 25 * HOUR)
        yield row | {
            "first_loaded_at": told[0]["loaded_at"] if told else None,
            "last_loaded_at": told[-1]["loaded_at"] if told else None,
            "completeness": share(row["loaded"], row["expected"]) if told else None,
        }
