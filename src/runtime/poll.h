// How the slow side (unloading, stopping) waits for what others are about to end.
#pragma once

#include <chrono>

namespace tessera::runtime {

// How often it looks.
inline constexpr std::chrono::microseconds kPoll{200};

}  // namespace tessera::runtime
