// Records every call of CUDA's driver and runtime in this process, also those of libraries that carry a runtime of
// their own: through CUPTI, which is opened where the host has it.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/cuda/gpu.h"

namespace tessera::device::contract {

struct RecordedCalls {
  std::map<std::string, std::size_t> counts;     // by name
  std::map<std::string, std::size_t> forbidden;  // "name: why", as call_rules.h says
  std::set<std::string> callers;                 // of those: "name by library:function < library:function ..."
};
std::string to_json(const RecordedCalls& calls);

// Thread-safe: calls come on any thread. One at a time in a process.
class CallRecorder {
 public:
  // Error: kUnavailable where there is no CUPTI.
  static Result<std::unique_ptr<CallRecorder>> start(std::shared_ptr<Gpu> gpu);
  virtual ~CallRecorder() = default;  // ends the recording

  virtual RecordedCalls take() = 0;  // what came since the last time
};

}  // namespace tessera::device::contract
