// The small network that `tessera selftest` runs: a convolution, a rectifier, a mean over each channel.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tessera::apps {

// One row in is kChannels images of kSide x kSide, one row out kFeatures numbers, fp32 both; the batch dimension is
// free.
struct SelftestModel {
  static constexpr std::int64_t kChannels = 8;
  static constexpr std::int64_t kSide = 16;
  static constexpr std::int64_t kKernel = 3;
  static constexpr std::int64_t kFeatures = 16;
  static constexpr std::int64_t kRowIn = kChannels * kSide * kSide;

  static std::string file();  // as ONNX (onnx.proto of ONNX 1.12, opset 13)
  // What one row is to give, within rounding.
  static std::vector<float> expected(std::span<const float> row);
};

}  // namespace tessera::apps
