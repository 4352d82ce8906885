// A CUDA device with probes for the contract suite, on whatever driver it is given.
#pragma once

#include <memory>

#include "tests/contract/device/device_contract.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::contract {

// Nothing, and a failure of the test, where the device cannot be made. `spec` as for --device. What it made must not
// outlive the driver.
std::unique_ptr<DeviceUnderTest> make_cuda_under_test(const Driver& driver, const char* spec,
                                                      ProbeKit::Frame frame = ProbeKit::Frame::kNo);
// On a card that other devices share.
std::unique_ptr<DeviceUnderTest> make_cuda_under_test(std::shared_ptr<Gpu> gpu, const char* spec, std::size_t streams,
                                                      ProbeKit::Frame frame = ProbeKit::Frame::kNo);

}  // namespace tessera::device::contract
