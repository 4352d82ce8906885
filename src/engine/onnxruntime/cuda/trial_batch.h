// Made-up input, to compare two ways of running the same model.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/batch.h"
#include "device/staging.h"
#include "engine/engine.h"

namespace tessera::engine {

// A full batch with the pinned memory of its inputs. Owned by one thread.
class TrialBatch {
 public:
  // Floats between -1 and 1, integers 0 or 1; the same for the same seed. `batches`: the first dimension of every input
  // is `rows`.
  static Result<TrialBatch> make(device::StagingPool& staging, const FileSignature& signature, std::int32_t rows,
                                 std::int32_t bucket, bool batches, std::uint32_t seed);

  Batch& batch() { return batch_; }

 private:
  std::vector<std::unique_ptr<device::StagingBlock>> memory_;
  Batch batch_;
};

}  // namespace tessera::engine
