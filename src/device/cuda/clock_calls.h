// What card_clock.cu and who asks it share.
#pragma once

#include <cstdint>

namespace tessera::device {

// In pinned memory, zero at first.
struct ClockCalls {
  std::uint32_t call;    // the host's: the number of its latest question, from 1 and never less than before
  std::uint32_t answer;  // the card's: the number of the question that `ns` answers
  std::uint64_t ns;      // %globaltimer
};

}  // namespace tessera::device
