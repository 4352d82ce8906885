// Which thread goes first where several want the same core. Linux.
#pragma once

namespace tessera {

// For a thread that sleeps much and works briefly, beside threads that compute: asks the kernel for time slices of 0.1
// ms instead of about 3, which lets it interrupt a longer slice when it wakes, without more of the core in sum. Needs
// no privilege; kernels before 6.12 take no notice, where a wakeup may wait for the running thread's slice.
void take_short_slices();

}  // namespace tessera
