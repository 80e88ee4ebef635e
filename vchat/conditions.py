"""VRoid Hub's conditions of use as one value, whether a model is VRM 0 or VRM 1.

After hub.vroid.com's own page "Model Data Conditions of Use": what a model does not state is never
allowed. VRM 1 models state theirs in `latest_character_model_version.vrm_meta`, VRM 0 in `license`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from vchat.model import Conditions, Credit, Stance, Use


def conditions_of(model: Mapping[str, Any]) -> Conditions:
    """The conditions of a character model as the Hub describes it."""
    version = _mapping(model.get("latest_character_model_version"))
    if str(version.get("spec_version") or "").startswith("1"):
        return _vrm1(_mapping(version.get("vrm_meta")))
    return _vrm0(_mapping(model.get("license")))


def forbidden(conditions: Conditions, uses: Iterable[Use]) -> tuple[Use, ...]:
    """Those of these uses that the conditions do not allow."""
    return tuple(use for use in uses if getattr(conditions, use.value) is not Stance.ALLOWED)


def _vrm1(meta: Mapping[str, Any]) -> Conditions:
    commercial = meta.get("commercialUsage")
    modification = meta.get("modification")
    return Conditions(
        avatar_use=_one_of(
            meta.get("avatarPermission"),
            yes=("everyone",),
            no=("onlyAuthor", "onlySeparatelyLicensedPerson"),
        ),
        violent=_flag(meta.get("allowExcessivelyViolentUsage")),
        sexual=_flag(meta.get("allowExcessivelySexualUsage")),
        political=_flag(meta.get("allowPoliticalOrReligiousUsage")),
        antisocial=_flag(meta.get("allowAntisocialOrHateUsage")),
        corporate=_one_of(
            commercial, yes=("corporation",), no=("personalNonProfit", "personalProfit")
        ),
        profit=_one_of(
            commercial, yes=("corporation", "personalProfit"), no=("personalNonProfit",)
        ),
        redistribution=_flag(meta.get("allowRedistribution")),
        alteration=_one_of(
            modification,
            yes=("allowModification", "allowModificationRedistribution"),
            no=("prohibited",),
        ),
        altered_redistribution=_one_of(
            modification,
            yes=("allowModificationRedistribution",),
            no=("prohibited", "allowModification"),
        ),
        credit=_credit(meta.get("creditNotation"), "required"),
    )


def _vrm0(license_: Mapping[str, Any]) -> Conditions:
    def allow(name: str) -> Stance:
        return _one_of(license_.get(name), yes=("allow",), no=("disallow",))

    return Conditions(
        avatar_use=_one_of(
            license_.get("characterization_allowed_user"), yes=("everyone",), no=("author",)
        ),
        violent=allow("violent_expression"),
        sexual=allow("sexual_expression"),
        corporate=allow("corporate_commercial_use"),
        profit=_one_of(
            license_.get("personal_commercial_use"), yes=("profit",), no=("nonprofit", "disallow")
        ),
        redistribution=allow("redistribution"),
        alteration=allow("modification"),
        credit=_credit(license_.get("credit"), "necessary"),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _flag(value: object) -> Stance:
    # Not bool(value): absent, null and text state nothing.
    if value is True:
        return Stance.ALLOWED
    return Stance.FORBIDDEN if value is False else Stance.NOT_STATED


def _one_of(value: object, *, yes: tuple[str, ...], no: tuple[str, ...]) -> Stance:
    if value in yes:
        return Stance.ALLOWED
    return Stance.FORBIDDEN if value in no else Stance.NOT_STATED


def _credit(value: object, required: str) -> Credit:
    if value == required:
        return Credit.REQUIRED
    return Credit.UNNECESSARY if value == "unnecessary" else Credit.NOT_STATED
