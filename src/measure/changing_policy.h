// A policy for measurements: no batch is held back, none has a slice of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sched/policy.h"

namespace tessera::measure {

// Whoever was served least gives the next batch, to a slice of the next of `sizes`, in atoms and in turn: of these the
// one that is free first, also where another batch still runs. Where there is none, the next size's turn comes. So each
// atom changes slice with nearly every batch, and has the next one committed as long as a batch and a lane are there.
// Sizes that the device does not have are skipped.
std::unique_ptr<sched::Policy> make_changing_policy(std::vector<std::uint16_t> sizes);

}  // namespace tessera::measure
