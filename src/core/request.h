// One inference request and its answer, free of any wire format.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/tensor.h"

namespace tessera {

struct InputTensor {
  std::string name;
  TensorView tensor;  // shape as sent, batch dimension included where the model batches
};

// Filled by one connection; handed to runtime as a whole and not touched again until its answer came.
struct InferRequest {
  std::string model;
  std::optional<std::int64_t> version;               // none: the newest one that serves
  std::string id;                                    // the client's; empty when it gave none
  std::vector<InputTensor> inputs;                   // in any order; admission sorts them into the model's
  std::vector<std::string> outputs;                  // names wanted, in the order of the answer; empty: all
  std::uint32_t priority = 0;                        // 1 is the highest; 0: the model's default
  std::optional<std::chrono::microseconds> timeout;  // from arrival; a waiting request is answered when it has passed
  TimePoint arrival{};                               // when its last byte was there
  std::shared_ptr<const void> memory;                // keeps the inputs' bytes alive
  std::optional<std::uint16_t> device;               // by number, that the memory is nearest to; none: all the same
};

struct OutputTensor {
  std::string name;
  TensorView tensor;
};

// Where a request's time went, for statistics and traces. All points on the server's monotonic axis.
struct RequestTimes {
  TimePoint arrival{};
  TimePoint launched{};  // taken from the queue
  TimePoint started{};   // the slice began with the batch
  TimePoint ended{};     // the slice was done
};

struct InferResponse {
  std::string model;
  std::int64_t version = 0;
  std::vector<OutputTensor> outputs;
  std::shared_ptr<const void> memory;  // keeps the outputs' bytes alive; shared by all requests of a batch
  RequestTimes times;
};

}  // namespace tessera
