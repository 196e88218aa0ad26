//! The continent of each country, for databases that name none.

/// Continent code of an ISO 3166-1 alpha-2 `country` (and `XK`, Kosovo).
///
/// Countries on two continents are on the one that geolocation databases name:
/// Russia in Europe, Turkey, Cyprus and Georgia in Asia, Egypt in Africa.
pub(super) fn of(country: &str) -> Option<&'static str> {
    let country: [u8; 2] = country.as_bytes().try_into().ok()?;
    CONTINENTS
        .iter()
        .find(|(_, countries)| {
            countries
                .as_chunks::<3>()
                .0
                .iter()
                .any(|c| c.starts_with(&country))
        })
        .map(|(continent, _)| *continent)
}

/// Countries of each continent, every code followed by a blank.
const CONTINENTS: [(&str, &[u8]); 7] = [
    ("AF", b"AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU MW MZ NA NE NG RE RW SC SD SH SL SN SO SS ST SZ TD TG TN TZ UG YT ZA ZM ZW "),
    ("AN", b"AQ BV GS HM TF "),
    ("AS", b"AE AF AM AZ BD BH BN BT CC CN CX CY GE HK ID IL IN IO IQ IR JO JP KG KH KP KR KW KZ LA LB LK MM MN MO MV MY NP OM PH PK PS QA SA SG SY TH TJ TL TM TR TW UZ VN YE "),
    ("EU", b"AD AL AT AX BA BE BG BY CH CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK "),
    ("NA", b"AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US VC VG VI "),
    ("OC", b"AS AU CK FJ FM GU KI MH MP NC NF NR NU NZ PF PG PN PW SB TK TO TV UM VU WF WS "),
    ("SA", b"AR BO BR CL CO EC FK GF GY PE PY SR UY VE "),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_iso_code_has_one_continent() {
        let codes: Vec<&[u8]> = CONTINENTS
            .iter()
            .flat_map(|(_, countries)| countries.chunks(3))
            .collect();
        let distinct: std::collections::HashSet<_> = codes.iter().collect();
        // 249 codes of ISO 3166-1 and Kosovo.
        assert_eq!((codes.len(), distinct.len()), (250, 250));
        for (country, continent) in [("DE", "EU"), ("NA", "AF"), ("AQ", "AN"), ("UM", "OC")] {
            assert_eq!(of(country), Some(continent));
        }
        assert_eq!(of("ZZ"), None);
        assert_eq!(of(" D"), None);
        assert_eq!(of(""), None);
    }
}
