// The text form of a model that only pretends: what it takes, what it gives, how long it takes, and how it fails.
//
//   tessera-fake 1
//   input  INPUT0  INT32 [-1,16]
//   output OUTPUT0 INT32 [-1,16] copy INPUT0     # or: zeros
//   latency 1 1 2000us        # rows, processors, time of one run; more points are interpolated (sched/profile.h)
//   busy spin                 # or: sleep (default)
//   load_time 50ms            # what loading takes; home_time: what preparing a slice takes
//   captures                  # as engines on gpus: a plan for each bucket and lane, homed cheaply, one run a lane
//   build_time 20ms           # what a capture takes before it needs its lane; capture_time: with the lane
//   fault capture 8 too large # captures of that bucket and larger ones: every time, with these words
//   fault uncapturable its run asks the host # no capture; it runs in one slice, launched anew for every batch
//   fault load disk on fire   # load and home: every time, with these words
//   fault run 13 bad luck     # a run whose first input begins with byte 13
//   fault lost 99 bus error   # likewise, as a fault of the processor itself
//   fault refuse              # plans of a kind that no device runs
//   fault hang 66             # on a fake device, a run whose first input begins with byte 66 does not end;
//                             # fault hang 66 3s: or takes that long
//   memory 100                # MB that it takes of what its engine has (FakeEngine::memory), while it is loaded
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "engine/engine.h"
#include "sched/profile.h"

namespace tessera::engine {

// Immutable value.
struct FakeModelFile {
  struct RunFault {
    std::uint8_t first_byte = 0;
    Error error;
  };

  FileSignature signature;
  std::vector<std::optional<std::size_t>> copied_from;  // by output: the input it repeats; none: zeros
  sched::Profile latency;
  bool spins = false;
  Duration load_time{0};
  Duration home_time{0};
  bool captures = false;
  Duration build_time{0};
  Duration capture_time{0};
  std::int32_t first_capture_fault = std::numeric_limits<std::int32_t>::max();  // the bucket
  std::optional<Error> capture_fault;
  std::optional<Error> load_fault;
  std::optional<Error> home_fault;
  std::vector<RunFault> run_faults;
  bool refused_by_devices = false;
  std::optional<std::uint8_t> hangs_at;
  std::optional<Duration> hangs_for;  // nothing: for ever
  Bytes memory{};
};

inline constexpr std::size_t kMaxFakeModelBytes = 64 << 10;

// Error: kInvalidArgument naming the line.
Result<FakeModelFile> parse_fake_model(std::string_view text);
Result<FakeModelFile> read_fake_model(const std::filesystem::path& file);

}  // namespace tessera::engine
