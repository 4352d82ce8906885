// Small tables that a captured run copied from the host's memory, such as the addresses of a concatenation's inputs. A
// replay would copy from memory that is gone.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "base/result.h"
#include "device/cuda/gpu.h"

namespace tessera::device {

// Larger copies are inputs, and not tables that are the same in every run.
inline constexpr std::size_t kLargestFrozen = std::size_t{64} << 10;

// Where a table lies on the card.
struct TablePlace {
  CUdeviceptr at = 0;
  bool filled = false;  // with these bytes already
};

// Makes every such copy one within the card's memory, of what lies at its source now: to be called right after the
// capture, while the tables are still there. `place`: memory of the card for these bytes that lives as long as the
// graph and is written by nobody; `stream` fills it, which has ended on return. Whether a table is really the same in
// every run, a comparison of replays with plain runs has to show. Other copies stay as they are, for the audit to find.
// Error: those of `place` and of the driver.
Status freeze_host_tables(const Gpu& gpu, CUgraph graph, CUstream stream,
                          const std::function<Result<TablePlace>(std::span<const std::byte>)>& place);

}  // namespace tessera::device
