//! The words of text output in the two languages of the manual's readers: one list, here.
//!
//! Programs read none of this: JSON, exit codes, names of checks and statuses, and the line formats of the manual are the
//! same in every language.

use clap::ValueEnum;

/// A language of text output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Polish.
    Pl,
    /// English.
    En,
}

impl Lang {
    /// The language of messages as POSIX has it: `LC_ALL` before `LC_MESSAGES` before `LANG`; English for all but Polish.
    pub(super) fn of_locale(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(variable).unwrap_or_default();
        let language = locale.split(['_', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("pl") { Self::Pl } else { Self::En }
    }

    /// The words for a term.
    pub(super) fn say(self, term: Term) -> &'static str {
        let (english, polish) = term.words();
        match self {
            Self::En => english,
            Self::Pl => polish,
        }
    }

    /// The description of something that has a stable name; `english` where this list does not know it.
    pub(super) fn describe<'a>(self, name: &str, english: &'a str) -> &'a str {
        let known = DESCRIPTIONS.iter().find(|(known, _)| *known == name);
        match (self, known) {
            (Self::Pl, Some((_, polish))) => polish,
            _ => english,
        }
    }
}

macro_rules! terms {
    ($($term:ident: $english:literal, $polish:literal;)*) => {
        /// What text output says. A term without words in either language does not compile.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Term {
            $(#[doc = $english] $term,)*
        }

        impl Term {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$term),*];

            fn words(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$term => ($english, $polish),)*
                }
            }
        }
    };
}

terms! {
    // status
    Installation: "installation", "instalacja";
    Key: "key", "klucz";
    InTpm: "in the TPM", "w TPM";
    InFile: "file (no TPM)", "plik (bez TPM)";
    Update: "update", "aktualizacja";
    NoUpdateYet: "none yet: the agent has not run here", "jeszcze żadnej: agent tu nie działał";
    Release: "release", "wydanie";
    Before: "before", "poprzednie";
    Phase: "phase", "faza";
    Generation: "generation", "generacja";
    Rollout: "rollout", "wdrożenie";
    ByHand: "none: asked for on this host", "żadne: zlecono na tym hoście";
    OnItsWay: "on its way", "w drodze";
    Detail: "detail", "szczegóły";
    RefusedHere: "refused here", "odrzucone tu";
    None: "none", "brak";
    UnknownVersion: "unknown version", "nieznana wersja";

    // checklist
    Item: "item", "pozycja";
    State: "state", "stan";
    When: "when", "kiedy";
    Evidence: "evidence", "dowód";
    Done: "done", "wykonane";
    Failed: "failed", "nieudane";
    Missing: "missing", "brak";
    Stale: "stale", "nieaktualne";
    AllDone: "Every item is done.", "Wszystkie pozycje wykonane.";
    SomeOpen: "Items are open.", "Są pozycje do wykonania.";

    // health
    CanTrade: "This host can trade on its exchange.", "Ten host może handlować na swojej giełdzie.";
    TradesBadly:
        "This host can trade, but not well or not for long.",
        "Ten host może handlować, ale źle albo niedługo.";
    NotSo: "not so", "nie zachodzi";
    CannotTrade: "This host cannot trade on its exchange.", "Ten host nie może handlować na swojej giełdzie.";

    OwnCheckOf: "your own, for", "własny, dla";
    RunsProgram: "runs", "uruchamia";
    AddressAnswers: "an address must answer", "adres ma odpowiedzieć";

    // recover
    RecoveryDone: "The installation is recovered.", "Instalacja odtworzona.";
    RecoveryOpen: "The recovery is not complete.", "Odtwarzanie nie jest zakończone.";
    RecoveryPlanned: "Nothing was changed: this is what would be done.", "Niczego nie zmieniono: tak wyglądałby przebieg.";

    // why a command gave no answer; the cause follows
    CannotDo: "no answer", "brak wyniku";
    WrongSettings: "the settings or flags cannot be used", "ustawienia lub opcje są nieprawidłowe";
}

/// Polish for what other crates describe in English, by its stable name.
const DESCRIPTIONS: &[(&str, &str)] = &[
    // checks of the exchange
    ("dns_tls", "nazwa giełdy jest rozwiązywana, TLS działa, jej certyfikat niedługo nie wygasa"),
    ("public_api", "giełda podaje rynki albo cenę --public-symbol"),
    ("time_skew", "zegar hosta zgadza się z zegarem giełdy"),
    ("private_api", "dane API działają, a konto ma --private-min-balance aktywa --private-asset"),
    ("rate_limit", "zostało dość limitu zapytań giełdy"),
    ("withdrawal", "klucz API nie może wypłacać środków"),
    // items of the checklist
    ("hmac_key", "HMAC ustawiony w środowisku"),
    ("package_check", "pakiet aktualizacji zweryfikowany"),
    ("tpm_evidence", "dowód TPM potwierdzony"),
    ("exchange_health", "health-check giełd przeszedł pomyślnie"),
    ("security_export", "pakiet logów bezpieczeństwa zarchiwizowany w exports/security"),
    ("ticket", "aktualizacja zapisana w systemie ticketowym"),
    // steps of a recovery
    ("find", "ustalenie ostatnich dobrych eksportów i pakietów"),
    ("restore", "przywrócenie instalacji z kopii zapasowej"),
    ("apply", "zastosowanie ostatniej zatwierdzonej aktualizacji"),
    ("prove", "dowód TPM i licencja"),
    ("health", "zdrowie bota i giełdy"),
    ("report", "raport dla zespołu SRE"),
];

#[cfg(test)]
mod tests {
    use flota_procedures::checklist::{ChecklistInputs, FileState, KeyState, Records, evaluate};
    use flota_procedures::health::CheckName;
    use flota_procedures::recover::Step;

    use super::*;

    #[test]
    fn every_term_has_words_of_its_own_in_both_languages() {
        for term in Term::ALL {
            let (english, polish) = term.words();
            assert!(!english.trim().is_empty() && !polish.trim().is_empty(), "{term:?}");
            assert_ne!(english, polish, "{term:?} is not translated");
        }
    }

    #[test]
    fn everything_with_a_stable_name_is_described_in_polish() {
        let inputs =
            ChecklistInputs { hmac_key: KeyState::Set, export_file: FileState::Gone, records: Records::default() };
        let list = evaluate(&inputs, jiff::Timestamp::UNIX_EPOCH);
        let names = CheckName::ALL.iter().map(|check| check.name());
        let names = names.chain(list.items().iter().map(|item| item.id));
        for name in names.chain(Step::ALL.iter().map(|step| step.name())) {
            assert_ne!(Lang::Pl.describe(name, "?"), "?", "{name}");
            assert_eq!(Lang::En.describe(name, "?"), "?", "{name}");
        }
    }

    #[test]
    fn the_locale_decides_as_posix_says() {
        let of = |set: &[(&str, &str)]| {
            let find = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            Lang::of_locale(&find)
        };
        assert_eq!(of(&[]), Lang::En);
        for polish in ["pl", "pl_PL", "pl_PL.UTF-8", "PL@euro"] {
            assert_eq!(of(&[("LANG", polish)]), Lang::Pl, "{polish}");
        }
        for other in ["C", "POSIX", "en_US.UTF-8", "plt_MG", ""] {
            assert_eq!(of(&[("LANG", other)]), Lang::En, "{other}");
        }
        assert_eq!(of(&[("LC_ALL", "C"), ("LC_MESSAGES", "pl"), ("LANG", "pl")]), Lang::En);
        assert_eq!(of(&[("LC_MESSAGES", "pl_PL"), ("LANG", "en_GB")]), Lang::Pl);
    }
}
