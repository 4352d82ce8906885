// The kernels that frame a plan's graph. The program carries them as text, in plan_frame_ptx.h: scripts/kernels-ptx
// makes it from this file.
#include "device/cuda/plan_moves.h"

using namespace tessera::device;

namespace {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

constexpr int kThreads = 512;
constexpr int kHeaderWords = sizeof(FrameHeader) / 8;
constexpr int kMoveWords = sizeof(Move) / 8;
constexpr int kFirstWords = kHeaderWords + kMovesAtOnce * kMoveWords;
constexpr int kMost = 128;    // moves a block knows at a time
constexpr int kInFlight = 2;  // reads a thread has under way
static_assert(kMovesKept <= kMovesAtOnce && kFirstWords <= kThreads && kMost <= kThreads, "a thread each");

// A move is cut into units of `step` bytes at its destination; a thread carries one at a time.
struct Part {
  u64 from;
  u64 to;
  u32 bytes;
  u32 step;
  u32 form;
  u64 units;
  u64 units_before;  // in the parts before it
};

// What a block knows of the control block.
struct Work {
  union {
    FrameHeader header;
    u64 words[kFirstWords];  // and some moves
  };
  Part parts[kMost];
  u32 count;  // of them
  u64 units;  // in all of them
};

__device__ bool both(u64 from, u64 from_multiple, u64 to, u64 to_multiple) {
  return from % from_multiple == 0 && to % to_multiple == 0;
}

__device__ u32 step_of(const Move& move) {
  if (move.form >> kChannelsShift != 0) {
    return move.to % 16 == 0 ? 16 : 2;
  }
  if (move.form == kFp32ToFp16) {
    return both(move.from, 16, move.to, 16) ? 16 : 2;
  }
  if (move.form == kUint8ToFp16) {
    return both(move.from, 8, move.to, 16) ? 16 : 2;
  }
  const u64 ends = move.from | move.to;
  return ends % 16 == 0 ? 16 : ends % 8 == 0 ? 8 : ends % 4 == 0 ? 4 : ends % 2 == 0 ? 2 : 1;
}

// Word by word, so that they travel together, and never from a cache: the host has written them since.
__device__ u64 read_word(u64 control, u32 at) { return reinterpret_cast<const volatile u64*>(control)[at]; }

__device__ void read_words(Work& work, u64 from, u32 count) {
  if (threadIdx.x < count) {
    work.words[threadIdx.x] = read_word(from, threadIdx.x);
  }
  __syncthreads();
}

// A list of moves: [first, first + count) of the control block's, of which the first `known` stand in Work.
struct Moves {
  u64 control;
  u32 first;
  u32 count;
  u32 known;
};

__device__ u64 word_of(const Work& work, const Moves& moves, u32 move, u32 word) {
  return move < moves.known ? work.words[kHeaderWords + move * kMoveWords + word]
                            : read_word(moves.control, kHeaderWords + (moves.first + move) * kMoveWords + word);
}

// Moves [from, from + count) of the list as parts.
__device__ void read_parts(Work& work, const Moves& moves, u32 from, u32 count) {
  if (threadIdx.x < count) {
    u64 words[kMoveWords];
    for (int i = 0; i < kMoveWords; ++i) {
      words[i] = word_of(work, moves, from + threadIdx.x, i);
    }
    const Move move{words[0], words[1], static_cast<u32>(words[2]), static_cast<u32>(words[2] >> 32)};
    const u32 step = step_of(move);
    const u64 units = (static_cast<u64>(move.bytes) + step - 1) >> (__ffs(static_cast<int>(step)) - 1);
    work.parts[threadIdx.x] = {move.from, move.to, move.bytes, step, move.form, units, 0};
  }
  __syncthreads();
  if (threadIdx.x < count) {
    u64 before = 0;
    for (u32 i = 0; i < threadIdx.x; ++i) {
      before += work.parts[i].units;
    }
    work.parts[threadIdx.x].units_before = before;
    if (threadIdx.x == count - 1) {
      work.count = count;
      work.units = before + work.parts[threadIdx.x].units;
    }
  }
  __syncthreads();
}

__device__ u16 half_of(float value) {
  u16 half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
  return half;
}

__device__ u16 half_of(u16 value) {
  u16 half;
  asm("cvt.rn.f16.u16 %0, %1;" : "=h"(half) : "h"(value));
  return half;
}

__device__ u32 pair(u16 low, u16 high) { return static_cast<u32>(high) << 16 | low; }

__device__ u32 halves_of(u32 first, u32 second) {
  return pair(half_of(__uint_as_float(first)), half_of(__uint_as_float(second)));
}

// Two of the four bytes.
__device__ u32 halves_of_bytes(u32 bytes, int shift) {
  return pair(half_of(static_cast<u16>(bytes >> shift & 0xff)), half_of(static_cast<u16>(bytes >> (shift + 8) & 0xff)));
}

// One unit on its way.
struct Load {
  uint4 low;
  uint4 high;
};

// Whether it travels by fetch() and put().
__device__ bool is_whole(const Part& part, u64 offset) {
  return part.step == 16 && part.bytes - offset >= 16 && part.form >> kChannelsShift == 0;
}

__device__ u8 byte_at(u64 address) { return *reinterpret_cast<const u8*>(address); }

__device__ u16 two_bytes_at(u64 address) {
  return static_cast<u16>(byte_at(address) | static_cast<u32>(byte_at(address + 1)) << 8);
}

// One value of a conversion, whose ends may lie anywhere.
__device__ u16 value_of(const Part& part, u64 element) {
  if (part.from == 0) {
    return 0;
  }
  const u32 channels = part.form >> kChannelsShift;
  if (channels != 0) {
    const u64 plane = part.bytes / 2 / channels;
    element = element % plane * channels + element / plane;
  }
  const u32 conversion = part.form & kConversionMask;
  if (conversion == kUint8ToFp16) {
    return half_of(static_cast<u16>(byte_at(part.from + element)));
  }
  if (conversion == kFp16ToFp16) {
    return two_bytes_at(part.from + element * 2);
  }
  const u64 at = part.from + element * 4;
  const u32 bits =
      at % 4 == 0 ? *reinterpret_cast<const u32*>(at) : two_bytes_at(at) | static_cast<u32>(two_bytes_at(at + 2)) << 16;
  return half_of(__uint_as_float(bits));
}

__device__ uint4 values_of(const Part& part, u64 element) {
  u32 pairs[4];
#pragma unroll 1
  for (int i = 0; i < 4; ++i) {
    pairs[i] = pair(value_of(part, element + 2 * i), value_of(part, element + 2 * i + 1));
  }
  return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
}

__device__ void fetch(const Part& part, u64 offset, Load& load) {
  if (part.from == 0) {
    load.low = make_uint4(0, 0, 0, 0);
    load.high = load.low;
  } else if (part.form == kFp32ToFp16) {
    const auto* from = reinterpret_cast<const uint4*>(part.from + offset * 2);
    load.low = from[0];
    load.high = from[1];
  } else if (part.form == kUint8ToFp16) {
    const uint2 bytes = *reinterpret_cast<const uint2*>(part.from + offset / 2);
    load.low = make_uint4(bytes.x, bytes.y, 0, 0);
  } else {
    load.low = *reinterpret_cast<const uint4*>(part.from + offset);
  }
}

__device__ void put(const Part& part, u64 offset, const Load& load) {
  uint4 value = load.low;
  if (part.form == kFp32ToFp16) {
    value = make_uint4(halves_of(load.low.x, load.low.y), halves_of(load.low.z, load.low.w),
                       halves_of(load.high.x, load.high.y), halves_of(load.high.z, load.high.w));
  } else if (part.form == kUint8ToFp16) {
    value = make_uint4(halves_of_bytes(load.low.x, 0), halves_of_bytes(load.low.x, 16), halves_of_bytes(load.low.y, 0),
                       halves_of_bytes(load.low.y, 16));
  }
  *reinterpret_cast<uint4*>(part.to + offset) = value;
}

__device__ void convert(const Part& part, u64 offset) {
  const u16 half = value_of(part, offset / 2);
  auto* to = reinterpret_cast<u8*>(part.to + offset);
  to[0] = static_cast<u8>(half & 0xff);
  to[1] = static_cast<u8>(half >> 8);
}

template <typename Word>
__device__ void copy_word(const Part& part, u64 offset) {
  *reinterpret_cast<Word*>(part.to + offset) =
      part.from == 0 ? Word{0} : *reinterpret_cast<const Word*>(part.from + offset);
}

// Any other unit: what alignment or the end of a move leaves, and what becomes planes.
__device__ __noinline__ void carry(const Part& part, u64 offset) {
  const u64 size = part.bytes - offset < part.step ? part.bytes - offset : part.step;
  if (size == 16) {
    *reinterpret_cast<uint4*>(part.to + offset) = values_of(part, offset / 2);
  } else if (part.form != kCopy) {
    for (u64 i = 0; i + 1 < size; i += 2) {
      convert(part, offset + i);
    }
  } else if (size < part.step) {
    for (u64 i = 0; i < size; ++i) {
      copy_word<u8>(part, offset + i);
    }
  } else if (part.step == 8) {
    copy_word<u64>(part, offset);
  } else if (part.step == 4) {
    copy_word<u32>(part, offset);
  } else if (part.step == 2) {
    copy_word<u16>(part, offset);
  } else {
    copy_word<u8>(part, offset);
  }
}

// Units are dealt out over all threads of all blocks, move after move, so that many small moves take no longer than one
// that is large. Each thread reads some units before it writes the first.
__device__ void carry_out(const Work& work) {
  const u64 stride = static_cast<u64>(gridDim.x) * kThreads;
  u32 at = 0;  // the part that the last unit was in
  for (u64 unit = static_cast<u64>(blockIdx.x) * kThreads + threadIdx.x; unit < work.units;) {
    Load loads[kInFlight];
    const Part* parts[kInFlight];
    u64 offsets[kInFlight];
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      parts[i] = nullptr;
      if (unit < work.units) {
        while (at + 1 < work.count && unit >= work.parts[at + 1].units_before) {
          ++at;
        }
        parts[i] = &work.parts[at];
        offsets[i] = (unit - parts[i]->units_before) * parts[i]->step;
        if (is_whole(*parts[i], offsets[i])) {
          fetch(*parts[i], offsets[i], loads[i]);
        }
        unit += stride;
      }
    }
#pragma unroll
    for (int i = 0; i < kInFlight; ++i) {
      if (parts[i] == nullptr) {
        break;
      }
      if (is_whole(*parts[i], offsets[i])) {
        put(*parts[i], offsets[i], loads[i]);
      } else {
        carry(*parts[i], offsets[i]);
      }
    }
  }
}

__device__ __noinline__ void carry_out(Work& work, const Moves& moves) {
  for (u32 done = 0; done < moves.count; done += kMost) {
    const u32 now = moves.count - done < kMost ? moves.count - done : kMost;
    read_parts(work, moves, done, now);
    carry_out(work);
    __syncthreads();
  }
}

__device__ u64 time_ns() {
  u64 ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
  return ns;
}

// What the scatter kernel needs first, put where it gets it sooner.
__device__ void keep(const Work& work, u64 control, u64 scratch) {
  const u32 scatters = work.header.scatters < kMovesKept ? work.header.scatters : kMovesKept;
  const u32 word = threadIdx.x;
  if (word < kHeaderWords + scatters * kMoveWords) {
    const u32 at = word < kHeaderWords ? word : word + work.header.gathers * kMoveWords;
    auto* kept = reinterpret_cast<u64*>(&reinterpret_cast<FrameScratch*>(scratch)->header);
    kept[word] = at < kFirstWords ? work.words[at] : read_word(control, at);
  }
}

}  // namespace

extern "C" __global__ void __launch_bounds__(kThreads, 2) plan_gather(u64 control, u64 scratch) {
  __shared__ Work work;
  const bool first = blockIdx.x == 0 && threadIdx.x == 0;
  const u64 begun = first ? time_ns() : 0;
  read_words(work, control, kFirstWords);
  if (blockIdx.x == 0) {
    keep(work, control, scratch);
  }
  if (first && work.header.times != 0) {
    reinterpret_cast<volatile CardTimes*>(work.header.times)->begun_ns = begun;
  }
  carry_out(work, {control, 0, work.header.gathers, kMovesAtOnce});
}

extern "C" __global__ void __launch_bounds__(kThreads, 2) plan_scatter(u64 control, u64 scratch) {
  __shared__ Work work;
  auto* shared = reinterpret_cast<FrameScratch*>(scratch);
  read_words(work, reinterpret_cast<u64>(&shared->header), kHeaderWords + kMovesKept * kMoveWords);
  carry_out(work, {control, work.header.gathers, work.header.scatters, kMovesKept});
  __syncthreads();
  if (threadIdx.x != 0) {
    return;
  }
  // What the whole block wrote comes before the count, and what all blocks wrote before the word.
  __threadfence_system();
  if (gridDim.x > 1) {
    if (atomicAdd(&shared->ended, 1U) != gridDim.x - 1) {
      return;
    }
    shared->ended = 0;  // for the next launch
    __threadfence_system();
  }
  if (work.header.end_word != 0) {
    *reinterpret_cast<volatile u32*>(work.header.end_word) = work.header.end_number;
  }
  if (work.header.times != 0) {  // last: the word, which somebody looks for, does not wait for it
    reinterpret_cast<volatile CardTimes*>(work.header.times)->ended_ns = time_ns();
  }
}
