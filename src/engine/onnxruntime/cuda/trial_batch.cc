#include "engine/onnxruntime/cuda/trial_batch.h"

#include <cstring>
#include <random>
#include <utility>

namespace tessera::engine {
namespace {

template <typename T>
void put(std::span<std::byte> to, std::size_t index, T value) {
  std::memcpy(to.data() + index * sizeof(T), &value, sizeof(T));
}

// A half between -1 and 1: sign, an exponent of 2^-5 to 2^-1, any mantissa.
std::uint16_t half(std::uint32_t bits) {
  return static_cast<std::uint16_t>((bits & 0x8000) | ((10 + bits % 5) << 10) | ((bits >> 16) & 0x3ff));
}

std::uint16_t bfloat(std::uint32_t bits) {
  return static_cast<std::uint16_t>((bits & 0x8000) | ((122 + bits % 5) << 7) | ((bits >> 16) & 0x7f));
}

void fill(DType dtype, std::span<std::byte> to, std::mt19937& random) {
  const std::size_t size = size_of(dtype);
  for (std::size_t i = 0; i < to.size() / size; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    switch (dtype) {
      case DType::kFp32:
        put(to, i, static_cast<float>(static_cast<std::int32_t>(bits)) / 2147483648.0F);
        break;
      case DType::kFp64:
        put(to, i, static_cast<double>(static_cast<std::int32_t>(bits)) / 2147483648.0);
        break;
      case DType::kFp16:
        put(to, i, half(bits));
        break;
      case DType::kBf16:
        put(to, i, bfloat(bits));
        break;
      default: {  // an index into a table is at least within a table of two
        std::memset(to.data() + i * size, 0, size);
        to[i * size] = std::byte{static_cast<unsigned char>(bits & 1)};
      }
    }
  }
}

}  // namespace

Result<TrialBatch> TrialBatch::make(device::StagingPool& staging, const FileSignature& signature, std::int32_t rows,
                                    std::int32_t bucket, bool batches, std::uint32_t seed) {
  TrialBatch made;
  made.batch_.rows = rows;
  made.batch_.bucket = bucket;
  std::mt19937 random(seed);
  for (const TensorSpec& input : signature.inputs) {
    const Shape row = batches ? input.shape.without_first() : input.shape;
    TESSERA_ASSIGN_OR_RETURN(const std::size_t row_bytes, byte_size(input.dtype, row));
    const std::size_t bytes = row_bytes * static_cast<std::size_t>(rows);
    TESSERA_ASSIGN_OR_RETURN(auto block, staging.lease({std::max<std::size_t>(bytes, 1)}));
    const std::span<std::byte> to = block->bytes().first(bytes);
    fill(input.dtype, to, random);
    made.batch_.inputs.push_back({input.dtype, row, {std::span<const std::byte>(to)}});
    made.memory_.push_back(std::move(block));
  }
  return made;
}

}  // namespace tessera::engine
