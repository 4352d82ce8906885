// What a loop does that looks at a value which another core is about to change.
#pragma once

namespace tessera {

inline void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");  // as long as x86's pause; `yield` does nothing on most cores
#endif
}

}  // namespace tessera
