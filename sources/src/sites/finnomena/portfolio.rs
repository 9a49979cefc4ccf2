//! Parser of `/funds/{fund_id}/portfolio`: top holdings, allocation by asset class and by sector, each with its own
//! date. The regional exposure is two views in one list and is not stored.

use schema::observation::PortfolioKind;

use crate::payload::breach;
use crate::payload::json::Field;
use crate::site::Reading;
use crate::sites::findings::Findings;
use crate::sites::finnomena::api_types::{PortfolioBlock, PortfolioBlocks, PortfolioElement};
use crate::sites::portfolio_rows::PortfolioRows;
use crate::text::number;

/// Parses the page. An empty or null block yields no observation.
pub fn read(data: Field<'_>, mut findings: Findings) -> Reading {
    let expected = "an object with top_holdings and allocations";
    let blocks: PortfolioBlocks<'_> = match data.required("data", expected) {
        Ok(blocks) => blocks,
        Err(breach) => return Reading::Broken(breach),
    };
    let has_sector =
        blocks.global_stock_sector.is_present() || blocks.sector_allocation.is_present();
    let lacking: Vec<&str> = [
        ("top_holdings", blocks.top_holdings.is_present()),
        ("asset_allocation", blocks.asset_allocation.is_present()),
        ("global_stock_sector or sector_allocation", has_sector),
    ]
    .into_iter()
    .filter_map(|(key, is_present)| (!is_present).then_some(key))
    .collect();
    if !lacking.is_empty() {
        return Reading::Broken(breach(
            "data",
            "the portfolio's blocks, null where they are empty",
            &format!("no {}", lacking.join(", no ")),
        ));
    }
    // The block with the newer name is used; the one with the older name if the newer is empty.
    let newer_sector_says = matches!(blocks.global_stock_sector.record::<PortfolioBlock<'_>>(), Ok(Some(block))
        if matches!(block.elements.elements(), Ok(Some(elements)) if !elements.is_empty()));
    let sector = if newer_sector_says || !blocks.sector_allocation.is_present() {
        ("global_stock_sector", blocks.global_stock_sector)
    } else {
        ("sector_allocation", blocks.sector_allocation)
    };
    for (kind, (name, block)) in [
        (
            PortfolioKind::TopHoldings,
            ("top_holdings", blocks.top_holdings),
        ),
        (
            PortfolioKind::AssetAllocation,
            ("asset_allocation", blocks.asset_allocation),
        ),
        (PortfolioKind::SectorAllocation, sector),
    ] {
        read_block(kind, name, block, &mut findings);
    }
    findings.said()
}

fn read_block(kind: PortfolioKind, name: &str, field: Field<'_>, findings: &mut Findings) {
    let mut rows = PortfolioRows::new(kind);
    let dataset = rows.dataset();
    let block = match field.record::<PortfolioBlock<'_>>() {
        Ok(Some(block)) => block,
        Ok(None) => return,
        Err(reason) => {
            findings.reject(dataset, name, reason, field.raw());
            return;
        }
    };
    let elements = match block.elements.elements() {
        Ok(Some(elements)) => elements,
        Ok(None) => {
            if !block.elements.is_present() {
                findings.reject(dataset, name, "expected `elements`", field.raw());
            }
            return;
        }
        Err(reason) => {
            findings.reject(dataset, name, reason, field.raw());
            return;
        }
    };
    let elements: Vec<_> = elements
        .into_iter()
        .map(|element| (element.record::<PortfolioElement<'_>>(), element))
        .collect();
    let percent_is_said = elements
        .iter()
        .any(|(read, _)| matches!(read, Ok(Some(row)) if row.percent.is_present()));
    if !elements.is_empty() && !percent_is_said {
        findings.reject(
            dataset,
            name,
            "no element has the key `percent`",
            field.raw(),
        );
        return;
    }
    for (read, element) in elements {
        let row = match read {
            Ok(Some(row)) => row,
            Ok(None) => PortfolioElement::default(),
            Err(reason) => {
                rows.take(findings, Err(reason), Ok::<_, String>(None), element.raw());
                continue;
            }
        };
        rows.take(
            findings,
            row.name.text(),
            row.percent
                .quantity()
                .and_then(number::believed)
                .map(|quantity| quantity.map(|quantity| quantity.value)),
            element.raw(),
        );
    }
    let as_of_date = findings.as_of(
        dataset,
        "data_date",
        block.data_date.date(),
        block.data_date.raw(),
    );
    rows.state(findings, as_of_date);
}
