// A CUDA device with probes for the contract suite, on whatever driver it is given.
#pragma once

#include <memory>

#include "tests/contract/device/device_contract.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::contract {

// How probes run: a homed graph; one with the frame that plans have; one that a worker launches, as what cannot be
// captured; by a worker the first, third, ... of a test, and as a graph the others.
enum class ProbeForm { kPlain, kFramed, kByWorker, kMixed };

// Nothing, and a failure of the test, where the device cannot be made. `spec` as for --device. What it made must not
// outlive the driver.
std::unique_ptr<DeviceUnderTest> make_cuda_under_test(const Driver& driver, const char* spec,
                                                      ProbeForm form = ProbeForm::kPlain);
// On a card that other devices share.
std::unique_ptr<DeviceUnderTest> make_cuda_under_test(std::shared_ptr<Gpu> gpu, const char* spec, std::size_t streams,
                                                      ProbeForm form = ProbeForm::kPlain);

}  // namespace tessera::device::contract
