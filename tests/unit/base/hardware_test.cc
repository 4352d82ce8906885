// Names and versions as kernels write them.
#include "base/hardware.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tessera {
namespace {

class HardwareTest : public ::testing::Test {
 protected:
  ~HardwareTest() override { std::filesystem::remove(file_); }
  const std::filesystem::path& with(const char* text) const {
    std::ofstream(file_) << text;
    return file_;
  }
  const std::filesystem::path file_ =
      std::filesystem::path(::testing::TempDir()) / ("hardware." + std::to_string(::getpid()));
};

TEST_F(HardwareTest, TheFirstProcessorHasAName) {
  EXPECT_EQ(processor_name(with("processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9654 96-Core Processor \n"
                                "flags\t: fpu vme\n\nprocessor\t: 1\nmodel name\t: another\n")),
            "AMD EPYC 9654 96-Core Processor");
  EXPECT_EQ(processor_name(with("processor\t: 0\nCPU part\t: 0xd40\n\nmodel name\t: of another\n")), "CPU part 0xd40");
  EXPECT_EQ(processor_name(with("model name\n")), "");
  EXPECT_EQ(processor_name("/nowhere/cpuinfo"), "");
}

TEST_F(HardwareTest, TheDriverHasAVersion) {
  EXPECT_EQ(nvidia_module_version(with("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release "
                                       "Build  (dvs-builder@U22)\nGCC version:  gcc version 13.3.0\n")),
            "580.95.05");
  EXPECT_EQ(nvidia_module_version(with("GCC version: none\n")), "");
  EXPECT_EQ(nvidia_module_version(with("")), "");
  EXPECT_EQ(nvidia_module_version("/nowhere/version"), "");
}

}  // namespace
}  // namespace tessera
