//! Figures as PDF, from their SVG: text stays text, in a font of this machine
//! that goes into the file. Only with the feature `pdf`; one thread.

use svg2pdf::usvg::{Options, Tree};
use svg2pdf::{ConversionOptions, PageOptions};

use super::ReportError;

/// Fonts for `sans-serif`, the first that is there is used.
const FAMILIES: [&str; 6] = [
    "DejaVu Sans",
    "Liberation Sans",
    "Noto Sans",
    "Arial",
    "Helvetica",
    "FreeSans",
];

/// Fonts, read once for all figures.
pub(super) struct Press {
    options: Options<'static>,
}

impl Press {
    /// Reads the fonts of the system.
    ///
    /// # Errors
    /// When none is fit: text would be missing from the figures without a
    /// word.
    pub(super) fn new() -> Result<Self, ReportError> {
        let mut options = Options::default();
        let fonts = options.fontdb_mut();
        fonts.load_system_fonts();
        let is_there = |family: &&str| {
            let mut families = fonts.faces().flat_map(|face| &face.families);
            families.any(|(name, _)| name == family)
        };
        let Some(family) = FAMILIES.into_iter().find(is_there) else {
            return Err(ReportError::Figure {
                name: "as PDF".to_owned(),
                reason: "no font of this machine is fit for it: install the Debian package \
                         fonts-dejavu-core"
                    .to_owned(),
            });
        };
        fonts.set_sans_serif_family(family);
        Ok(Self { options })
    }

    /// One page as large as the figure, a pixel being 1/72 inch.
    ///
    /// # Errors
    /// When the library refuses.
    pub(super) fn print(&self, name: &str, svg: &str) -> Result<Vec<u8>, ReportError> {
        let failed = |reason: String| ReportError::Figure {
            name: name.to_owned(),
            reason,
        };
        let tree = Tree::from_str(svg, &self.options).map_err(|it| failed(it.to_string()))?;
        svg2pdf::to_pdf(&tree, ConversionOptions::default(), PageOptions::default())
            .map_err(|it| failed(it.to_string()))
    }
}
