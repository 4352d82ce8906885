// Made by scripts/kernels-ptx: do not edit.
// Of card_clock.cu clock_calls.h with digest d2ae86aeb68801e47050b71643b18ec4f8093dcfb641910799db750b4c4e1da2.
#pragma once

namespace tessera::device {

inline constexpr const char* kCardClockPtx = R"ptx(

.version 9.0
.target sm_75
.address_size 64

	// .globl	tell_card_time

.visible .entry tell_card_time(
	.param .u64 tell_card_time_param_0,
	.param .u32 tell_card_time_param_1
)
{
	.reg .pred 	%p<4>;
	.reg .b32 	%r<7>;
	.reg .b64 	%rd<5>;

	ld.param.u64 	%rd3, [tell_card_time_param_0];
	ld.param.u32 	%r3, [tell_card_time_param_1];
	setp.eq.s32 	%p1, %r3, 0;
	@%p1 bra 	$L__BB0_4;

	cvta.to.global.u64 	%rd1, %rd3;
	mov.u32 	%r6, 1;

$L__BB0_2:
	ld.volatile.global.u32 	%r5, [%rd1];
	setp.lt.u32 	%p2, %r5, %r6;
	@%p2 bra 	$L__BB0_2;

	// begin inline asm
	mov.u64 %rd4, %globaltimer;
	// end inline asm
	st.volatile.global.u64 	[%rd1+8], %rd4;
	membar.sys;
	st.volatile.global.u32 	[%rd1+4], %r6;
	add.s32 	%r6, %r6, 1;
	setp.le.u32 	%p3, %r6, %r3;
	@%p3 bra 	$L__BB0_2;

$L__BB0_4:
	ret;

}
)ptx";

}  // namespace tessera::device
