#include "tests/support/cuda/fake_plan_kernels.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/clock.h"

namespace tessera::device::test {
namespace {

const FrameHeader& header_of(void** values) {
  return *reinterpret_cast<const FrameHeader*>(*static_cast<const CUdeviceptr*>(values[0]));
}

const Move* moves_of(const FrameHeader& header) { return reinterpret_cast<const Move*>(&header + 1); }

void note_time(std::uint64_t& where) {
  std::atomic_ref(where).store(static_cast<std::uint64_t>(now().time_since_epoch().count()), std::memory_order_release);
}

CardTimes* times_of(const FrameHeader& header) { return reinterpret_cast<CardTimes*>(header.times); }

void gather(void** values) {
  const FrameHeader& header = header_of(values);
  if (header.times != 0) {
    note_time(times_of(header)->begun_ns);
  }
  for (std::uint32_t i = 0; i < header.gathers; ++i) {
    carry_out(moves_of(header)[i]);
  }
}

void scatter(void** values) {
  const FrameHeader header = header_of(values);  // which is the host's again once the word is written
  for (std::uint32_t i = 0; i < header.scatters; ++i) {
    carry_out(moves_of(header_of(values))[header.gathers + i]);
  }
  if (header.end_word != 0) {
    std::atomic_ref(*reinterpret_cast<std::uint32_t*>(header.end_word))
        .store(header.end_number, std::memory_order_release);
  }
  if (header.times != 0) {
    note_time(times_of(header)->ended_ns);
  }
}

void put(std::byte* to, std::uint16_t half) { std::memcpy(to, &half, sizeof(half)); }

}  // namespace

std::uint16_t half_of(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000U);
  if (std::isnan(value)) {
    return 0x7fff;  // as the card does
  }
  const double magnitude = std::fabs(static_cast<double>(value));
  if (magnitude >= 65520) {
    return sign | 0x7c00U;
  }
  // In units of the last place that a half of this size has; nearbyint() rounds ties to even.
  const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
  const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  // 1024 units or more make the exponent's lowest bit, and 2048 carry into it.
  const auto biased = static_cast<std::uint32_t>(exponent + 14) << 10;
  return static_cast<std::uint16_t>(sign | (biased + units));
}

void carry_out(const Move& move) {
  auto* const to = reinterpret_cast<std::byte*>(move.to);
  const auto* const from = reinterpret_cast<const std::byte*>(move.from);
  if (from == nullptr) {
    std::memset(to, 0, move.bytes);
    return;
  }
  if (move.form == kCopy) {
    std::memcpy(to, from, move.bytes);
    return;
  }
  const std::uint32_t values = move.bytes / 2;
  const std::uint32_t channels = move.form >> kChannelsShift;
  for (std::uint32_t i = 0; i < values; ++i) {
    const std::uint32_t plane = channels == 0 ? values : values / channels;
    const std::size_t at = channels == 0 ? i : std::size_t{i % plane} * channels + i / plane;
    float value = 0;
    if ((move.form & kConversionMask) == kFp16ToFp16) {
      std::memcpy(to + std::size_t{i} * 2, from + at * 2, 2);
      continue;
    }
    if ((move.form & kConversionMask) == kFp32ToFp16) {
      std::memcpy(&value, from + at * 4, sizeof(value));
    } else {
      value = static_cast<float>(std::to_integer<unsigned>(from[at]));
    }
    put(to + std::size_t{i} * 2, half_of(value));
  }
}

void add_plan_kernels(FakeCuda& cuda) {
  const auto add = [&](const char* name, void (*work)(void**)) {
    cuda.add_kernel({.name = name,
                     .arguments = {sizeof(CUdeviceptr), sizeof(CUdeviceptr)},
                     .start = [work](void** values, const Processors&) -> std::unique_ptr<FakeRun> {
                       work(values);
                       return nullptr;
                     }});
  };
  add("plan_gather", gather);
  add("plan_scatter", scatter);
}

}  // namespace tessera::device::test
