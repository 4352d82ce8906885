// What --device names on GPUs: whole cards, and parts of cards.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/slice.h"

namespace tessera::device {

// "cuda:0": the first card; "cuda:0/0-7": its first eight atoms. Immutable value.
struct CudaDeviceSpec {
  int gpu = 0;
  std::optional<Slice> atoms;  // of the card; nothing: all
};

std::string to_string(const CudaDeviceSpec& spec);

// A list with commas. Error: kInvalidArgument for what is none, and for a processor that would belong to two devices.
// Whether the cards and atoms exist shows when they are opened.
Result<std::vector<CudaDeviceSpec>> parse_cuda_devices(std::string_view text);

}  // namespace tessera::device
