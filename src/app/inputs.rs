//! The files that settings name. They are read before anything is served, too: a controller that cannot read them once it
//! leads looks well until it is needed.

use cloud::catalog::{KwokSettings, KwokTypes, PriceList, kwok};

use crate::config::{Config, Provider};
use crate::observe::{InputError, read_prices, read_text};

/// Can all of them be used?
///
/// # Errors
/// When one cannot be read, or is wrong.
pub(super) fn check(config: &Config) -> Result<(), InputError> {
    prices(config)?;
    if config.provider == Provider::Kwok {
        kwok(&of_kwok(config)?).map_err(|error| {
            InputError::new(error.to_string())
                .field("--instance-types-file-path")
                .remedy("mend the file, or leave the option out for the generated types")
        })?;
    }
    Ok(())
}

/// Prices that go before those that are asked for.
pub(super) fn prices(config: &Config) -> Result<PriceList, InputError> {
    Ok(config.prices_file.as_deref().map(read_prices).transpose()?.unwrap_or_default())
}

/// What kwok sells.
pub(super) fn of_kwok(config: &Config) -> Result<KwokSettings, InputError> {
    let types = match &config.instance_types_file {
        None => KwokTypes::Generated,
        Some(path) => {
            KwokTypes::File { name: path.display().to_string(), json: read_text(path, "--instance-types-file-path")? }
        }
    };
    Ok(KwokSettings { types, unavailable: Vec::new() })
}
