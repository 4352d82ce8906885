// What the kernels that frame a plan's graph read at every launch: shared by plan_frame.cu and who launches.
#pragma once

#include <cstdint>

namespace tessera::device {

enum MoveForm : std::uint32_t {
  kCopy,
  kFp32ToFp16,   // rounded to nearest even
  kUint8ToFp16,  // the value itself
  kFp16ToFp16,   // for planes_of(); else kCopy does it
};

// A conversion of one image whose pixels have their `channels` values (at most 255) side by side, into a plane for each
// channel: what is written is a multiple of two times `channels` bytes.
inline constexpr std::uint32_t kChannelsShift = 8;  // in a form; without channels values stay in their order
inline constexpr std::uint32_t kConversionMask = (1U << kChannelsShift) - 1;
constexpr std::uint32_t planes_of(MoveForm conversion, std::uint32_t channels) {
  return conversion | channels << kChannelsShift;
}

// Bytes that are carried from one place to another, on the card or in the host's pinned memory. Any alignment is right;
// multiples of 16 at both ends are fast.
struct Move {
  std::uint64_t from;  // 0: zeros
  std::uint64_t to;
  std::uint32_t bytes;  // that are written; with a conversion a multiple of 2, and twice or half of them are read
  std::uint32_t form;   // a MoveForm, or planes_of() one
};

// When a plan ran, by the card's clock. In pinned memory; the second may come a moment after the end's word.
struct CardTimes {
  std::uint64_t begun_ns;  // the first instruction of the first node
  std::uint64_t ended_ns;  // the last one of the last node
};

// Begins a control block; the moves of the gather kernel follow, then those of the scatter kernel.
struct FrameHeader {
  std::uint64_t end_word;    // in pinned memory; 0: none
  std::uint32_t end_number;  // written there when everything has ended
  std::uint32_t gathers;
  std::uint32_t scatters;
  std::uint32_t unused;
  std::uint64_t times;  // address of CardTimes; 0: nobody asks
};

static_assert(sizeof(Move) == 24 && sizeof(FrameHeader) == 32, "words of 8 bytes, as the kernels read them");

// So many moves come with the header in one read over the bus; more take a second one.
inline constexpr std::uint32_t kMovesAtOnce = 20;

// The card's memory that a frame needs, at a multiple of as many bytes: how many blocks of the scatter kernel have
// ended, zero at first, and what the gather kernel has read for it meanwhile, so that it need not wait for the bus.
inline constexpr std::uint32_t kMovesKept = 8;
struct FrameScratch {
  std::uint32_t ended;
  std::uint32_t unused[7];
  FrameHeader header;
  Move scatters[kMovesKept];  // the first ones
};
inline constexpr std::uint32_t kFrameBytes = sizeof(FrameScratch);

static_assert(kFrameBytes == 256, "a block of any heap");

}  // namespace tessera::device
