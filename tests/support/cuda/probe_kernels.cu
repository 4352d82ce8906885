// Kernels that note on which processors and in which order they run. The tests carry them as text, in probe_ptx.h:
// scripts/kernels-ptx makes it from this file.
#include "probe_args.h"

using namespace tessera::device::contract;

namespace {

__device__ unsigned sm() {
  unsigned id;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(id));
  return id;
}

__device__ unsigned long long time_ns() {
  unsigned long long ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
  return ns;
}

__device__ void note_sm(std::uint32_t* sms) {
  const unsigned id = sm();
  atomicOr(&sms[id / 32 % kSmWords], 1U << (id % 32));
}

__device__ void occupy(unsigned long long ns) {
  for (const unsigned long long begin = time_ns(); time_ns() - begin < ns;) {
  }
}

__device__ void wait_at(ProbeGate* gate) {
  volatile std::uint32_t* open = &gate->open;
  while (*open == 0) {
    __nanosleep(1000);
  }
}

// One block looks at the host's word, the others at the card's: reads across the bus by hundreds of blocks hold up
// whatever else has to be fetched from there, launches among it.
__device__ void wait_at(ProbeGate* gate, std::uint32_t* opened_on_card, bool first) {
  volatile std::uint32_t* opened = opened_on_card;
  if (first) {
    wait_at(gate);
    *opened = 1;
  }
  while (*opened == 0) {
    __nanosleep(2000);
  }
}

}  // namespace

extern "C" __global__ void probe_begin(ProbeArgs args) {
  if (threadIdx.x != 0) {
    return;
  }
  const bool first = atomicAdd(&args.blocks->begun, 1U) == 0;
  if (first) {
    args.blocks->began_ns = time_ns();
    args.blocks->began = atomicAdd(args.order, 1ULL) + 1;
  }
  note_sm(args.blocks->sms);
  if (args.gate != nullptr) {
    if (first) {
      atomicAdd_system(&args.gate->reached, 1U);
    }
    wait_at(args.gate, &args.blocks->opened, first);
  }
  occupy(args.busy_ns);
  if (args.fault == ProbeFault::kTrap) {
    __trap();
  }
}

extern "C" __global__ void probe_answer(ProbeArgs args) {
  if (blockIdx.x == 0) {
    for (unsigned i = threadIdx.x; i < kProbeBytes; i += blockDim.x) {
      args.output[i] = i < args.bytes ? args.input[i] ^ 0xa5 : 0;
    }
    __threadfence_system();
  }
  __syncthreads();
  if (threadIdx.x != 0) {
    return;
  }
  note_sm(args.blocks->sms);
  __threadfence();
  if (atomicAdd(&args.blocks->answered, 1U) != gridDim.x - 1) {
    return;
  }
  for (int i = 0; i < kSmWords; ++i) {
    args.note->sms[i] = *const_cast<volatile std::uint32_t*>(&args.blocks->sms[i]);
  }
  args.note->began = *const_cast<volatile std::uint64_t*>(&args.blocks->began);
  args.note->began_ns = *const_cast<volatile std::uint64_t*>(&args.blocks->began_ns);
  args.note->scratch = *args.scratch;
  args.note->ended_ns = time_ns();
  __threadfence_system();
  args.note->ended = atomicAdd(args.order, 1ULL) + 1;
}

// Which processors work in the current context can use.
extern "C" __global__ void note_sms(std::uint32_t* sms, unsigned long long busy_ns) {
  if (threadIdx.x == 0) {
    note_sm(sms);
    occupy(busy_ns);
  }
}

// Holds what it runs on; with as many large blocks as fit, all of it.
extern "C" __global__ void hold(ProbeGate* gate, ProbeHold* shared) {
  if (threadIdx.x == 0) {
    atomicAdd_system(&gate->reached, 1U);
    wait_at(gate, &shared->opened, blockIdx.x == 0);
    if (atomicAdd(&shared->left, 1U) == gridDim.x - 1) {
      shared->left = 0;
      shared->opened = 0;
    }
  }
  __syncthreads();
}

// A node that costs next to nothing.
extern "C" __global__ void nothing() {}

extern "C" __global__ void tell_time(ProbeClock* clock, std::uint32_t calls) {
  volatile std::uint32_t* call = &clock->call;
  for (std::uint32_t i = 1; i <= calls; ++i) {
    while (*call != i) {
    }
    *const_cast<volatile std::uint64_t*>(&clock->ns) = time_ns();
    __threadfence_system();
    *const_cast<volatile std::uint32_t*>(&clock->answer) = i;
  }
}
