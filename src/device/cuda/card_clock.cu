// The kernel that tells the card's time to who asks. The program carries it as text, in card_clock_ptx.h:
// scripts/kernels-ptx makes it from this file.
#include "device/cuda/clock_calls.h"

using namespace tessera::device;

extern "C" __global__ void tell_card_time(ClockCalls* calls, std::uint32_t count) {
  volatile ClockCalls* shared = calls;
  for (std::uint32_t i = 1; i <= count; ++i) {
    while (shared->call < i) {
    }
    unsigned long long ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
    shared->ns = ns;
    __threadfence_system();
    shared->answer = i;
  }
}
