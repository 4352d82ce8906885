// For which cards a library has code, and what is said where it has none.
#include "engine/onnxruntime/cuda/device_code.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>

#include "device/cuda/plan_frame_ptx.h"
#include "engine/onnxruntime/cuda/cuda_engine.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/support/cuda/fake_plan_kernels.h"

namespace tessera::engine {
namespace {

constexpr std::uint16_t kPtx = 1;
constexpr std::uint16_t kMachineCode = 2;

template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string image(std::uint16_t kind, std::uint32_t architecture, bool zeroed = false) {
  const std::string code(96, zeroed ? '\0' : 'c');
  std::string out;
  put<std::uint16_t>(out, kind);
  put<std::uint16_t>(out, 1);
  put<std::uint32_t>(out, 64);
  put<std::uint64_t>(out, code.size());
  out.append(12, '\0');
  put(out, architecture);
  out.append(32, '\0');
  return out + code;
}

std::string container(const std::vector<std::string>& images) {
  std::string all;
  for (const std::string& one : images) {
    all += one;
  }
  std::string out;
  put<std::uint32_t>(out, 0xBA55ED50);
  put<std::uint16_t>(out, 1);
  put<std::uint16_t>(out, 16);
  put<std::uint64_t>(out, all.size());
  return out + all + std::string(8, '\0');  // a gap before the next one
}

// An ELF file with a section of names and, unless that is empty, one of device code.
std::string library(const std::string& code, const char* section = ".nv_fatbin") {
  const std::string names = std::string(1, '\0') + section + '\0';
  Elf64_Ehdr head{};
  std::memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  head.e_shentsize = sizeof(Elf64_Shdr);
  head.e_shnum = 3;
  head.e_shstrndx = 1;
  head.e_shoff = sizeof head + names.size() + code.size();
  std::array<Elf64_Shdr, 3> sections{};
  sections[1].sh_offset = sizeof head;
  sections[1].sh_size = names.size();
  sections[2].sh_name = 1;
  sections[2].sh_offset = sizeof head + names.size();
  sections[2].sh_size = code.size();
  std::string out;
  put(out, head);
  out += names + code;
  put(out, sections);
  return out;
}

DeviceCode code_for(int architecture, const std::string& file) {
  return device_code_for(architecture, std::as_bytes(std::span(file)));
}

// As scripts/trim_fatbin.py leaves it.
std::string trimmed() {
  return library(container({image(kMachineCode, 80, true), image(kMachineCode, 90), image(kPtx, 90, true)}) +
                 container({image(kMachineCode, 86, true), image(kMachineCode, 90)}));
}

TEST(DeviceCodeTest, MachineCodeRunsOnItsOwnGenerationFromItsOwnOn) {
  const std::string file = library(container({image(kMachineCode, 80), image(kMachineCode, 90)}));
  for (const int architecture : {80, 86, 89, 90}) {
    EXPECT_TRUE(code_for(architecture, file).runs) << architecture;
  }
  for (const int architecture : {75, 100, 120}) {
    EXPECT_FALSE(code_for(architecture, file).runs) << architecture;
    EXPECT_EQ(code_for(architecture, file).others, (std::vector<int>{80, 90}));
  }
}

TEST(DeviceCodeTest, PtxRunsOnAllLaterOnes) {
  const std::string file = library(container({image(kPtx, 90)}));
  EXPECT_TRUE(code_for(120, file).runs);
  EXPECT_FALSE(code_for(86, file).runs);
}

TEST(DeviceCodeTest, WhatWasZeroedIsNotThere) {
  EXPECT_TRUE(code_for(90, trimmed()).runs);
  for (const int architecture : {80, 86, 100}) {
    EXPECT_FALSE(code_for(architecture, trimmed()).runs) << architecture;
    EXPECT_EQ(code_for(architecture, trimmed()).others, std::vector<int>{90}) << architecture;
  }
}

TEST(DeviceCodeTest, WhatIsNotUnderstoodRefusesNothing) {
  const std::string whole = trimmed();
  EXPECT_TRUE(code_for(86, library(container({image(kMachineCode, 90)}), ".data_of_it")).others.empty());
  EXPECT_TRUE(code_for(86, "no library").others.empty());
  EXPECT_TRUE(code_for(86, library("")).others.empty());
  for (std::size_t size = 0; size < whole.size(); size += 7) {
    EXPECT_FALSE(code_for(86, whole.substr(0, size)).runs);
  }
  std::string damaged = container({image(kMachineCode, 90), image(kMachineCode, 90)});
  damaged[16 + 64 + 96 + 4] = 3;  // the second image's header is shorter than one
  EXPECT_TRUE(code_for(86, library(damaged)).others.empty());
}

class ArchitectureTest : public testing::Test {
 protected:
  ArchitectureTest() { std::ofstream(file_, std::ios::binary) << trimmed(); }
  ~ArchitectureTest() override { std::filesystem::remove(file_); }

  static std::shared_ptr<device::Gpu> gpu() { return *device::Gpu::open(device::test::FakeCuda::table(), 0); }

  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("tessera-provider-" + std::to_string(::getpid()));
};

TEST_F(ArchitectureTest, OfAnotherCardOneLineSaysWhatToDo) {
  const device::test::FakeCuda cuda({.architecture = 86});
  const Status status = check_architecture(*gpu(), file_);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(status.error().message(),
            "this build has code for GPUs of architecture 9.0, and fake gpu is of architecture 8.6: make a bundle for "
            "it with scripts/gpu-bundle 86");
}

TEST_F(ArchitectureTest, OfItsOwnCardNothingIsSaid) {
  const device::test::FakeCuda cuda({.architecture = 90});
  EXPECT_TRUE(check_architecture(*gpu(), file_).ok());
  EXPECT_TRUE(check_architecture(*gpu(), file_.string() + ".none").ok()) << "another check says so";
}

TEST_F(ArchitectureTest, TheHostsOwnLibrariesMayHaveNoCodeEither) {
  const device::test::FakeCuda cuda({.architecture = 86});
  const Status status =
      check_first_run(*gpu(), internal_error("CUDNN failure 3007: CUDNN_STATUS_ARCH_MISMATCH ; GPU=0"));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), ErrorCode::kUnavailable);
  EXPECT_NE(status.error().message().find("8.6"), std::string::npos);
  EXPECT_FALSE(check_first_run(*gpu(), internal_error("CUDA failure 209: no kernel image is available")).ok());
  EXPECT_TRUE(check_first_run(*gpu(), internal_error("CUDA failure 2: out of memory")).ok());
}

TEST_F(ArchitectureTest, TheOldestIsThatOfOurOwnKernels) {
  const std::string target = ".target sm_" + std::to_string(kOldestArchitecture) + "\n";
  EXPECT_NE(std::string(device::kPlanFramePtx).find(target), std::string::npos);
}

// An engine over the driver in memory: what stops it is said in one line, as unavailable.
class NoEngineTest : public testing::Test {
 protected:
  static Error refusal() {
    auto gpu = device::Gpu::open(device::test::FakeCuda::table(), 0);
    EXPECT_TRUE(gpu.ok());
    device::CudaOptions options;
    options.streams = 4;
    options.staging = {.total = {16 << 20}, .largest = {2 << 20}};
    const auto device = device::make_cuda_device(*gpu, options);
    EXPECT_TRUE(device.ok());
    const auto engine = CudaEngine::create(**device);
    EXPECT_FALSE(engine.ok());
    return engine.ok() ? Error(ErrorCode::kInternal, "") : engine.error();
  }
};

TEST_F(NoEngineTest, WithoutAProviderOneLineSaysWhatToDo) {
  if (std::filesystem::exists(provider_file())) {
    GTEST_SKIP() << "ONNX Runtime's CUDA provider is here";
  }
  device::test::FakeCuda cuda;
  device::test::add_plan_kernels(cuda);
  const Error error = refusal();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable) << error.message();
  EXPECT_EQ(error.message().find('\n'), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("put libonnxruntime_providers_cuda.so"), std::string::npos) << error.message();
}

TEST_F(NoEngineTest, ACardThatIsTooOldIsUnavailable) {
  const device::test::FakeCuda cuda({.architecture = 61});
  const Error error = refusal();
  EXPECT_EQ(error.code(), ErrorCode::kUnavailable);
  EXPECT_EQ(error.message(), "fake gpu is of architecture 6.1, and 7.5 or newer is needed: use --device host");
}

}  // namespace
}  // namespace tessera::engine
