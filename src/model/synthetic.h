// Made-up inputs: for measuring a model, and for warm-up samples.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "core/batch.h"
#include "core/tensor.h"
#include "device/staging.h"
#include "model/config.h"
#include "model/repository.h"

namespace tessera::model {

inline constexpr std::uint64_t kMaxSyntheticBytes = 256 << 20;  // of one batch's inputs

// Sides of images, and other free dimensions (concrete_row), in the order in which they are tried on a model.
inline constexpr std::array<std::int64_t, 3> kTriedSides{224, 32, 1};

// A batch with the memory of its inputs. Owned by one thread; moving keeps the views valid.
class SyntheticBatch {
 public:
  Batch& batch() { return batch_; }

  // Appends one input of `rows` equal rows of `row`.
  void add(DType dtype, const Shape& row_shape, std::span<const std::byte> row, std::int32_t rows);

  // Its inputs lie where requests' do from now on, so that a device takes no longer to get at them. They stay where
  // they are if the pool has no room.
  void move_to(device::StagingPool& pool);

 private:
  struct alignas(64) Block {
    std::byte bytes[64];
  };
  std::vector<std::vector<Block>> memory_;
  std::unique_ptr<device::StagingBlock> staged_;  // instead
  Batch batch_;
};

// Free dimensions set to something sensible: an image's sides to `side`, every other to the smaller of `side` and 16.
// An image is a shape of three dimensions, one of them 1, 3 or 4 channels first or last.
Shape concrete_row(const Shape& row, std::int64_t side);

// The model's signature with the largest shape of its buckets, where it has such.
ModelSignature largest_shape(const ModelConfig& config);

// The shapes of its buckets as the file has them, for LoadOptions::shapes. None: it has no buckets.
std::vector<std::vector<Shape>> shapes_in_file(const ModelConfig& config, const engine::FileSignature& file);

// Whether any input leaves a dimension (but the batch) to the request.
bool has_free_dimensions(const ModelSignature& signature);

// `rows` rows of repeatable values between 0 and 1, integers 0, texts "0". Error: kTooLarge over kMaxSyntheticBytes.
Result<SyntheticBatch> synthetic_batch(const ModelSignature& signature, std::int32_t rows, std::int32_t bucket,
                                       std::int64_t side);

// The batch of a warm-up sample; files are read from <model>/warmup/.
Result<SyntheticBatch> warmup_batch(const WarmupSample& sample, const ModelFolder& model,
                                    const std::vector<std::int32_t>& buckets);

}  // namespace tessera::model
