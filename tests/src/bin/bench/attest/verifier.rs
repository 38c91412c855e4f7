//! The verifier alone, on one thread, beside what `openssl speed` makes of the same signatures.

use std::hint::black_box;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use flota_attest::public::{Public, QualifiedName};
use flota_attest::quote::{ClockState, QuoteEvidence, QuoteExpectation, Verdict, verify_quote};
use flota_attest::selection::{Bank, Selection};
use flota_sim::soft_tpm::{AkKind, Quote};
use flota_sim::{Manufacturer, SoftTpm};

use super::processors;
use crate::figure::{Bar, Figure};
use crate::stopwatch::installed;

/// Seconds of processor time that the verifier takes for one figure, as many as openssl.
const RUN: u8 = 2;
/// Runs of ours and of openssl, in turn; the best of each counts.
const ROUNDS: usize = 2;
/// Different quotes that are verified in turn: as in a fleet, none comes twice in a row.
const QUOTES: u8 = 64;
/// What a controller asks for unless told otherwise.
const PCRS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// The share of openssl's rate that a whole verification must reach: parsing, hashing and comparing included.
const SHARE: f64 = 0.70;

/// Verifications a second, the best so far; none if openssl is not installed.
#[derive(Debug, Default, Clone, Copy)]
struct Rates {
    p256: Option<f64>,
    rsa2048: Option<f64>,
}

pub(super) fn measure() -> anyhow::Result<Vec<Figure>> {
    let manufacturer = Manufacturer::new()?;
    let [p256, rsa2048] = [AkKind::P256, AkKind::Rsa2048].map(|kind| Bench::prepare(&manufacturer, kind));
    let (p256, rsa2048) = (p256?, rsa2048?);
    let (mut ours, mut openssl) = (Rates::default(), Rates::default());
    for _ in 0..ROUNDS {
        ours = ours.best(Rates { p256: Some(p256.rate()?), rsa2048: Some(rsa2048.rate()?) });
        openssl = openssl.best(peer()?);
    }
    Ok([figures("P-256", ours.p256, openssl.p256), figures("RSA-2048", ours.rsa2048, openssl.rsa2048)].concat())
}

fn figures(kind: &str, ours: Option<f64>, openssl: Option<f64>) -> Vec<Figure> {
    vec![
        Figure::new(format!("{kind} quotes verified by one thread"), ours.unwrap_or_default(), "1/s")
            .beside("openssl speed", openssl),
        Figure::ratio(format!("{kind} quotes: share of openssl's rate"), ours, openssl)
            .beside("openssl speed", openssl.map(|_| 1.0))
            .bar(Bar::AtLeast(SHARE)),
    ]
}

impl Rates {
    fn best(self, other: Self) -> Self {
        // None is less than any.
        let higher = |a: Option<f64>, b: Option<f64>| if a > b { a } else { b };
        Self { p256: higher(self.p256, other.p256), rsa2048: higher(self.rsa2048, other.rsa2048) }
    }
}

/// A host's keys as a controller has them at hand, and quotes of its TPM.
struct Bench {
    ak: Public,
    ak_name: QualifiedName,
    selection: Selection,
    quotes: Vec<([u8; 32], Quote)>,
    last: ClockState,
}

impl Bench {
    fn prepare(manufacturer: &Manufacturer, kind: AkKind) -> anyhow::Result<Self> {
        let tpm = manufacturer.make_tpm(kind)?;
        let ek = Public::parse_2b(tpm.ek_public())?;
        let ak = Public::parse_2b(tpm.ak_public())?;
        let ak_name = ak.qualified_name(&ek.qualified_name(&QualifiedName::endorsement_root()));
        let selection = Selection::new(Bank::Sha256, PCRS)?;
        let mut bench = Self { ak, ak_name, selection, quotes: vec![quote(&tpm, 0)?], last: never() };
        let Verdict::Pass(facts) = bench.verify(&bench.quotes[0], None) else {
            anyhow::bail!("the first quote of a simulated TPM does not pass");
        };
        bench.last = facts.clock_state();
        bench.quotes = (1..=QUOTES).map(|number| quote(&tpm, number)).collect::<Result<_, _>>()?;
        Ok(bench)
    }

    /// Verifications a second of processor time, which is what openssl divides by as well: on a busy machine both wait.
    fn rate(&self) -> anyhow::Result<f64> {
        let began = processors::of_this_thread()?;
        let (mut verified, mut took) = (0_u32, 0.0);
        while took < f64::from(RUN) {
            for quote in &self.quotes {
                let verdict = self.verify(black_box(quote), Some(self.last));
                ensure!(matches!(black_box(verdict), Verdict::Pass(_)), "a quote does not pass");
                verified = verified.saturating_add(1);
            }
            took = processors::of_this_thread()? - began;
        }
        Ok(f64::from(verified) / took)
    }

    fn verify(&self, (qualifying_data, quote): &([u8; 32], Quote), last: Option<ClockState>) -> Verdict {
        let evidence = QuoteEvidence {
            attest: &quote.signed.attest,
            signature: &quote.signed.signature,
            pcr_values: &quote.pcr_values,
        };
        let expectation = QuoteExpectation {
            ak: &self.ak,
            ak_qualified_name: &self.ak_name,
            qualifying_data: *qualifying_data,
            selection: self.selection,
            last,
        };
        verify_quote(&evidence, &expectation)
    }
}

const fn never() -> ClockState {
    ClockState { clock: 0, reset_count: 0, restart_count: 0, firmware: 0 }
}

fn quote(tpm: &SoftTpm, number: u8) -> anyhow::Result<([u8; 32], Quote)> {
    let qualifying = [number; 32];
    Ok((qualifying, tpm.quote(qualifying, &PCRS)?))
}

/// What openssl does a second, if it is installed.
fn peer() -> anyhow::Result<Rates> {
    let Some(openssl) = installed("openssl") else { return Ok(Rates::default()) };
    let output = Command::new(openssl)
        .args(["speed", "-mr", "-seconds", &RUN.to_string(), "ecdsap256", "rsa2048"])
        .stdin(Stdio::null())
        .output()
        .context("starting openssl")?;
    ensure!(output.status.success(), "openssl speed: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(Rates { p256: verify_rate(&text, "+F4:", "256"), rsa2048: verify_rate(&text, "+F2:", "2048") })
}

/// From openssl's lines for machines: `+F4:<index>:<bits>:<signatures a second>:<verifications a second>`.
fn verify_rate(text: &str, kind: &str, bits: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let mut fields = line.strip_prefix(kind)?.split(':').skip(1);
        if fields.next()? != bits {
            return None;
        }
        fields.nth(1)?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rates_of_openssl_are_read() {
        let text = "+DTP:2048:private:rsa:1\n+R1:771:2048:0.71\n+F2:2:2048:1085.915493:42062.068966\n\
                    +F4:3:256:33005.681818:10063.333333\n";
        assert_eq!(verify_rate(text, "+F4:", "256"), Some(10_063.333_333));
        assert_eq!(verify_rate(text, "+F2:", "2048"), Some(42_062.068_966));
        assert_eq!(verify_rate(text, "+F2:", "4096"), None);
    }

    #[test]
    fn the_best_rate_is_kept() {
        let first = Rates { p256: Some(2.0), rsa2048: None };
        let best = first.best(Rates { p256: Some(1.0), rsa2048: Some(3.0) });
        assert_eq!((best.p256, best.rsa2048), (Some(2.0), Some(3.0)));
    }
}
