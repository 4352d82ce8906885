// Made by scripts/kernels-ptx: do not edit.
// Of plan_frame.cu plan_moves.h with digest 14ef9df0d128c2d6faf4fa0a43fc97dd734ba2ccaa61057b6644cb2ff1ee3fa9.
#pragma once

namespace tessera::device {

inline constexpr const char* kPlanFramePtx = R"ptx(

.version 9.0
.target sm_75
.address_size 64

	// .globl	plan_gather
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE
(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1
)
;
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy
(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
;

.visible .entry plan_gather(
	.param .u64 plan_gather_param_0,
	.param .u64 plan_gather_param_1
)
.maxntid 512, 1, 1
{
	.local .align 8 .b8 	__local_depot0[24];
	.reg .b64 	%SP;
	.reg .b64 	%SPL;
	.reg .pred 	%p<7>;
	.reg .b16 	%rs<2>;
	.reg .b32 	%r<20>;
	.reg .b64 	%rd<20>;
	// demoted variable
	.shared .align 8 .b8 _ZZ11plan_gatherE4work[6672];

	mov.u64 	%SPL, __local_depot0;
	cvta.local.u64 	%SP, %SPL;
	ld.param.u64 	%rd4, [plan_gather_param_0];
	ld.param.u64 	%rd5, [plan_gather_param_1];
	mov.u32 	%r1, %tid.x;
	setp.gt.u32 	%p1, %r1, 63;
	@%p1 bra 	$L__BB0_2;

	cvta.to.global.u64 	%rd6, %rd4;
	mul.wide.u32 	%rd7, %r1, 8;
	add.s64 	%rd8, %rd6, %rd7;
	ld.volatile.global.u64 	%rd9, [%rd8];
	shl.b32 	%r3, %r1, 3;
	mov.u32 	%r4, _ZZ11plan_gatherE4work;
	add.s32 	%r5, %r4, %r3;
	st.shared.u64 	[%r5], %rd9;

$L__BB0_2:
	bar.sync 	0;
	mov.u32 	%r6, %ctaid.x;
	setp.ne.s32 	%p2, %r6, 0;
	@%p2 bra 	$L__BB0_8;

	ld.shared.u32 	%r7, [_ZZ11plan_gatherE4work+16];
	setp.lt.u32 	%p3, %r7, 8;
	mad.lo.s32 	%r8, %r7, 3, 4;
	selp.b32 	%r9, %r8, 28, %p3;
	setp.ge.u32 	%p4, %r1, %r9;
	@%p4 bra 	$L__BB0_8;

	setp.lt.u32 	%p5, %r1, 4;
	ld.shared.u32 	%r10, [_ZZ11plan_gatherE4work+12];
	mad.lo.s32 	%r11, %r10, 3, %r1;
	selp.b32 	%r2, %r1, %r11, %p5;
	setp.lt.u32 	%p6, %r2, 64;
	@%p6 bra 	$L__BB0_6;
	bra.uni 	$L__BB0_5;

$L__BB0_6:
	shl.b32 	%r12, %r2, 3;
	mov.u32 	%r13, _ZZ11plan_gatherE4work;
	add.s32 	%r14, %r13, %r12;
	ld.shared.u64 	%rd19, [%r14];
	bra.uni 	$L__BB0_7;

$L__BB0_5:
	cvta.to.global.u64 	%rd10, %rd4;
	mul.wide.u32 	%rd11, %r2, 8;
	add.s64 	%rd12, %rd10, %rd11;
	ld.volatile.global.u64 	%rd19, [%rd12];

$L__BB0_7:
	cvta.to.global.u64 	%rd13, %rd5;
	mul.wide.u32 	%rd14, %r1, 8;
	add.s64 	%rd15, %rd13, %rd14;
	st.global.u64 	[%rd15+32], %rd19;

$L__BB0_8:
	mov.u32 	%r16, 20;
	add.u64 	%rd16, %SP, 0;
	add.u64 	%rd17, %SPL, 0;
	st.local.u32 	[%rd17+16], %r16;
	mov.u16 	%rs1, 0;
	st.local.v4.u8 	[%rd17+20], {%rs1, %rs1, %rs1, %rs1};
	st.local.u64 	[%rd17], %rd4;
	mov.u32 	%r17, _ZZ11plan_gatherE4work;
	mov.u32 	%r18, 0;
	ld.shared.u32 	%r19, [_ZZ11plan_gatherE4work+12];
	st.local.v2.u32 	[%rd17+8], {%r18, %r19};
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r17;
	  cvta.shared.u64 	%rd18, %tmp; }
	{ // callseq 0, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd18;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd16;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE, 
	(
	param0, 
	param1
	);
	} // callseq 0
	ret;

}
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1
)
{
	.reg .pred 	%p<55>;
	.reg .b16 	%rs<73>;
	.reg .f32 	%f<17>;
	.reg .b32 	%r<348>;
	.reg .b64 	%rd<146>;

	ld.param.u64 	%rd42, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_0];
	ld.param.u64 	%rd43, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE_param_1];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd42;
	  cvt.u32.u64 	%r1, %tmp; }
	cvta.to.local.u64 	%rd44, %rd43;
	add.s64 	%rd1, %rd44, 12;
	ld.local.u32 	%r270, [%rd44+12];
	setp.eq.s32 	%p1, %r270, 0;
	@%p1 bra 	$L__BB1_84;

	mov.u32 	%r3, %tid.x;
	cvt.u64.u32 	%rd45, %r3;
	mov.u32 	%r160, %nctaid.x;
	mul.wide.u32 	%rd2, %r160, 512;
	mov.u32 	%r161, %ctaid.x;
	mul.wide.u32 	%rd46, %r161, 512;
	add.s64 	%rd3, %rd46, %rd45;
	add.s32 	%r8, %r1, 512;
	mad.lo.s32 	%r4, %r3, 48, %r8;
	and.b32  	%r6, %r3, 3;
	sub.s32 	%r7, %r3, %r6;
	mov.u32 	%r271, 0;

$L__BB1_2:
	sub.s32 	%r162, %r270, %r271;
	min.u32 	%r11, %r162, 128;
	setp.ge.u32 	%p2, %r3, %r11;
	@%p2 bra 	$L__BB1_21;

	add.s32 	%r12, %r271, %r3;
	ld.local.u32 	%r13, [%rd1+4];
	setp.gt.u32 	%p3, %r13, %r12;
	mad.lo.s32 	%r14, %r12, 24, %r1;
	@%p3 bra 	$L__BB1_5;
	bra.uni 	$L__BB1_4;

$L__BB1_5:
	ld.shared.u64 	%rd129, [%r14+32];
	bra.uni 	$L__BB1_6;

$L__BB1_4:
	ld.local.u32 	%r163, [%rd1+-4];
	add.s32 	%r164, %r163, %r12;
	mad.lo.s32 	%r165, %r164, 3, 4;
	ld.local.u64 	%rd47, [%rd1+-12];
	mul.wide.u32 	%rd48, %r165, 8;
	add.s64 	%rd49, %rd47, %rd48;
	ld.volatile.u64 	%rd129, [%rd49];

$L__BB1_6:
	@%p3 bra 	$L__BB1_8;
	bra.uni 	$L__BB1_7;

$L__BB1_8:
	ld.shared.u64 	%rd130, [%r14+40];
	bra.uni 	$L__BB1_9;

$L__BB1_7:
	ld.local.u32 	%r166, [%rd1+-4];
	add.s32 	%r167, %r166, %r12;
	mad.lo.s32 	%r168, %r167, 3, 5;
	ld.local.u64 	%rd50, [%rd1+-12];
	mul.wide.u32 	%rd51, %r168, 8;
	add.s64 	%rd52, %rd50, %rd51;
	ld.volatile.u64 	%rd130, [%rd52];

$L__BB1_9:
	@%p3 bra 	$L__BB1_11;
	bra.uni 	$L__BB1_10;

$L__BB1_11:
	ld.shared.u64 	%rd131, [%r14+48];
	bra.uni 	$L__BB1_12;

$L__BB1_10:
	ld.local.u32 	%r169, [%rd1+-4];
	add.s32 	%r170, %r169, %r12;
	mad.lo.s32 	%r171, %r170, 3, 6;
	ld.local.u64 	%rd53, [%rd1+-12];
	mul.wide.u32 	%rd54, %r171, 8;
	add.s64 	%rd55, %rd53, %rd54;
	ld.volatile.u64 	%rd131, [%rd55];

$L__BB1_12:
	shr.u64 	%rd56, %rd131, 32;
	cvt.u32.u64 	%r15, %rd56;
	setp.eq.s32 	%p6, %r15, 1;
	@%p6 bra 	$L__BB1_19;
	bra.uni 	$L__BB1_13;

$L__BB1_19:
	or.b64  	%rd64, %rd130, %rd129;
	and.b64  	%rd65, %rd64, 15;
	setp.eq.s64 	%p13, %rd65, 0;
	selp.b32 	%r272, 16, 2, %p13;
	bra.uni 	$L__BB1_20;

$L__BB1_13:
	setp.eq.s32 	%p7, %r15, 2;
	@%p7 bra 	$L__BB1_18;
	bra.uni 	$L__BB1_14;

$L__BB1_18:
	and.b64  	%rd61, %rd129, 7;
	and.b64  	%rd62, %rd130, 15;
	or.b64  	%rd63, %rd62, %rd61;
	setp.eq.s64 	%p12, %rd63, 0;
	selp.b32 	%r272, 16, 2, %p12;
	bra.uni 	$L__BB1_20;

$L__BB1_14:
	or.b64  	%rd13, %rd130, %rd129;
	and.b64  	%rd57, %rd13, 15;
	setp.eq.s64 	%p8, %rd57, 0;
	mov.u32 	%r272, 16;
	@%p8 bra 	$L__BB1_20;

	or.b64  	%rd125, %rd130, %rd129;
	and.b64  	%rd58, %rd125, 7;
	setp.eq.s64 	%p9, %rd58, 0;
	mov.u32 	%r272, 8;
	@%p9 bra 	$L__BB1_20;

	or.b64  	%rd126, %rd130, %rd129;
	and.b64  	%rd59, %rd126, 3;
	setp.eq.s64 	%p10, %rd59, 0;
	mov.u32 	%r272, 4;
	@%p10 bra 	$L__BB1_20;

	or.b64  	%rd127, %rd130, %rd129;
	and.b64  	%rd60, %rd127, 1;
	setp.eq.b64 	%p11, %rd60, 1;
	selp.b32 	%r272, 1, 2, %p11;

$L__BB1_20:
	shr.u64 	%rd128, %rd131, 32;
	cvt.u32.u64 	%r269, %rd128;
	and.b64  	%rd66, %rd131, 4294967295;
	cvt.u64.u32 	%rd67, %r272;
	add.s64 	%rd68, %rd66, %rd67;
	add.s64 	%rd69, %rd68, -1;
	brev.b32 	%r175, %r272;
	bfind.shiftamt.u32 	%r176, %r175;
	shr.u64 	%rd70, %rd69, %r176;
	st.shared.u64 	[%r4], %rd129;
	st.shared.u64 	[%r4+8], %rd130;
	mov.u64 	%rd71, 0;
	cvt.u32.u64 	%r177, %rd131;
	st.shared.v2.u32 	[%r4+16], {%r177, %r272};
	st.shared.u32 	[%r4+24], %r269;
	st.shared.u64 	[%r4+32], %rd70;
	st.shared.u64 	[%r4+40], %rd71;

$L__BB1_21:
	bar.sync 	0;
	@%p2 bra 	$L__BB1_32;

	setp.eq.s32 	%p15, %r3, 0;
	mov.u64 	%rd135, 0;
	@%p15 bra 	$L__BB1_30;

	add.s32 	%r262, %r3, -1;
	setp.lt.u32 	%p16, %r262, 3;
	mov.u64 	%rd135, 0;
	mov.u32 	%r275, 0;
	@%p16 bra 	$L__BB1_26;

	mov.u64 	%rd135, 0;
	mov.u32 	%r275, 0;
	mov.u32 	%r274, %r7;

$L__BB1_25:
	mad.lo.s32 	%r180, %r275, 48, %r1;
	ld.shared.u64 	%rd76, [%r180+544];
	add.s64 	%rd77, %rd76, %rd135;
	ld.shared.u64 	%rd78, [%r180+592];
	add.s64 	%rd79, %rd78, %rd77;
	ld.shared.u64 	%rd80, [%r180+640];
	add.s64 	%rd81, %rd80, %rd79;
	ld.shared.u64 	%rd82, [%r180+688];
	add.s64 	%rd135, %rd82, %rd81;
	add.s32 	%r275, %r275, 4;
	add.s32 	%r274, %r274, -4;
	setp.ne.s32 	%p17, %r274, 0;
	@%p17 bra 	$L__BB1_25;

$L__BB1_26:
	setp.eq.s32 	%p18, %r6, 0;
	@%p18 bra 	$L__BB1_30;

	setp.eq.s32 	%p19, %r6, 1;
	mad.lo.s32 	%r181, %r275, 48, %r1;
	ld.shared.u64 	%rd83, [%r181+544];
	add.s64 	%rd135, %rd83, %rd135;
	@%p19 bra 	$L__BB1_30;

	setp.eq.s32 	%p20, %r6, 2;
	add.s32 	%r248, %r181, 544;
	ld.shared.u64 	%rd84, [%r248+48];
	add.s64 	%rd135, %rd84, %rd135;
	@%p20 bra 	$L__BB1_30;

	add.s32 	%r249, %r181, 544;
	ld.shared.u64 	%rd85, [%r249+96];
	add.s64 	%rd135, %rd85, %rd135;

$L__BB1_30:
	st.shared.u64 	[%r4+40], %rd135;
	add.s32 	%r182, %r11, -1;
	setp.ne.s32 	%p21, %r3, %r182;
	@%p21 bra 	$L__BB1_32;

	st.shared.u32 	[%r1+6656], %r11;
	ld.shared.u64 	%rd86, [%r4+32];
	add.s64 	%rd87, %rd86, %rd135;
	st.shared.u64 	[%r1+6664], %rd87;

$L__BB1_32:
	bar.sync 	0;
	ld.shared.u64 	%rd136, [%r1+6664];
	setp.ge.u64 	%p22, %rd3, %rd136;
	@%p22 bra 	$L__BB1_83;

	mov.u32 	%r312, 0;
	mov.u64 	%rd142, %rd3;

$L__BB1_34:
	mov.u32 	%r311, 0;
	setp.ge.u64 	%p23, %rd142, %rd136;
	mov.u64 	%rd143, 0;
	mov.u64 	%rd140, %rd143;
	@%p23 bra 	$L__BB1_48;

	add.s32 	%r264, %r1, 512;
	ld.shared.u32 	%r44, [%r1+6656];
	mad.lo.s32 	%r293, %r312, 48, %r264;
	mov.u32 	%r294, %r312;

$L__BB1_36:
	mov.u32 	%r312, %r294;
	mov.u32 	%r311, %r293;
	add.s32 	%r294, %r312, 1;
	setp.ge.u32 	%p24, %r294, %r44;
	@%p24 bra 	$L__BB1_38;

	ld.shared.u64 	%rd90, [%r311+88];
	setp.ge.u64 	%p25, %rd142, %rd90;
	add.s32 	%r293, %r311, 48;
	@%p25 bra 	$L__BB1_36;

$L__BB1_38:
	ld.shared.u64 	%rd91, [%r311+40];
	sub.s64 	%rd92, %rd142, %rd91;
	ld.shared.u32 	%rd93, [%r311+20];
	mul.lo.s64 	%rd141, %rd92, %rd93;
	setp.ne.s64 	%p26, %rd93, 16;
	mov.u16 	%rs69, 0;
	@%p26 bra 	$L__BB1_40;

	ld.shared.u32 	%rd94, [%r311+16];
	sub.s64 	%rd95, %rd94, %rd141;
	setp.gt.u64 	%p27, %rd95, 15;
	selp.u16 	%rs69, 1, 0, %p27;

$L__BB1_40:
	setp.eq.s16 	%p28, %rs69, 0;
	mov.u32 	%r295, %r281;
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;
	@%p28 bra 	$L__BB1_47;

	ld.shared.u64 	%rd28, [%r311];
	mov.u32 	%r295, 0;
	setp.eq.s64 	%p29, %rd28, 0;
	mov.u32 	%r296, %r295;
	mov.u32 	%r297, %r295;
	mov.u32 	%r298, %r295;
	mov.u32 	%r299, %r295;
	mov.u32 	%r300, %r295;
	mov.u32 	%r301, %r295;
	mov.u32 	%r302, %r295;
	@%p29 bra 	$L__BB1_47;

	ld.shared.u32 	%r50, [%r311+24];
	setp.eq.s32 	%p30, %r50, 1;
	@%p30 bra 	$L__BB1_46;
	bra.uni 	$L__BB1_43;

$L__BB1_46:
	shl.b64 	%rd99, %rd141, 1;
	add.s64 	%rd100, %rd28, %rd99;
	ld.v4.u32 	{%r302, %r301, %r300, %r299}, [%rd100];
	ld.v4.u32 	{%r298, %r297, %r296, %r295}, [%rd100+16];
	bra.uni 	$L__BB1_47;

$L__BB1_43:
	setp.eq.s32 	%p31, %r50, 2;
	@%p31 bra 	$L__BB1_45;
	bra.uni 	$L__BB1_44;

$L__BB1_45:
	mov.u32 	%r299, 0;
	shr.u64 	%rd97, %rd141, 1;
	add.s64 	%rd98, %rd28, %rd97;
	ld.v2.u32 	{%r302, %r301}, [%rd98];
	mov.u32 	%r295, %r281;
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;
	mov.u32 	%r300, %r299;
	bra.uni 	$L__BB1_47;

$L__BB1_44:
	add.s64 	%rd96, %rd28, %rd141;
	ld.v4.u32 	{%r302, %r301, %r300, %r299}, [%rd96];
	mov.u32 	%r295, %r281;
	mov.u32 	%r296, %r282;
	mov.u32 	%r297, %r283;
	mov.u32 	%r298, %r284;

$L__BB1_47:
	add.s64 	%rd142, %rd142, %rd2;
	mul.wide.u32 	%rd101, %r312, 48;
	add.s64 	%rd102, %rd42, %rd101;
	add.s64 	%rd140, %rd102, 512;
	mov.u32 	%r284, %r298;
	mov.u32 	%r283, %r297;
	mov.u32 	%r282, %r296;
	mov.u32 	%r281, %r295;

$L__BB1_48:
	setp.ge.u64 	%p32, %rd142, %rd136;
	mov.u32 	%r327, 0;
	@%p32 bra 	$L__BB1_62;

	ld.shared.u32 	%r84, [%r1+6656];
	mov.u32 	%r313, %r312;

$L__BB1_50:
	mov.u32 	%r312, %r313;
	add.s32 	%r313, %r312, 1;
	setp.ge.u32 	%p33, %r313, %r84;
	mad.lo.s32 	%r213, %r312, 48, %r1;
	@%p33 bra 	$L__BB1_52;

	add.s32 	%r250, %r213, 512;
	ld.shared.u64 	%rd104, [%r250+88];
	setp.ge.u64 	%p34, %rd142, %rd104;
	@%p34 bra 	$L__BB1_50;

$L__BB1_52:
	add.s32 	%r251, %r213, 512;
	ld.shared.u64 	%rd105, [%r251+40];
	sub.s64 	%rd106, %rd142, %rd105;
	add.s32 	%r252, %r213, 512;
	ld.shared.u32 	%rd107, [%r252+20];
	mul.lo.s64 	%rd144, %rd106, %rd107;
	setp.ne.s64 	%p35, %rd107, 16;
	mov.u16 	%rs70, 0;
	@%p35 bra 	$L__BB1_54;

	add.s32 	%r253, %r213, 512;
	ld.shared.u32 	%rd108, [%r253+16];
	sub.s64 	%rd109, %rd108, %rd144;
	setp.gt.u64 	%p36, %rd109, 15;
	selp.u16 	%rs70, 1, 0, %p36;

$L__BB1_54:
	setp.eq.s16 	%p37, %rs70, 0;
	mov.u32 	%r314, %r276;
	mov.u32 	%r319, %r289;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;
	@%p37 bra 	$L__BB1_61;

	add.s32 	%r254, %r213, 512;
	ld.shared.u64 	%rd35, [%r254];
	mov.u32 	%r314, 0;
	setp.eq.s64 	%p38, %rd35, 0;
	mov.u32 	%r315, %r314;
	mov.u32 	%r316, %r314;
	mov.u32 	%r317, %r314;
	mov.u32 	%r318, %r314;
	mov.u32 	%r319, %r314;
	mov.u32 	%r320, %r314;
	mov.u32 	%r321, %r314;
	@%p38 bra 	$L__BB1_61;

	add.s32 	%r255, %r213, 512;
	ld.shared.u32 	%r88, [%r255+24];
	setp.eq.s32 	%p39, %r88, 1;
	@%p39 bra 	$L__BB1_60;
	bra.uni 	$L__BB1_57;

$L__BB1_60:
	shl.b64 	%rd113, %rd144, 1;
	add.s64 	%rd114, %rd35, %rd113;
	ld.v4.u32 	{%r318, %r317, %r316, %r315}, [%rd114];
	ld.v4.u32 	{%r314, %r319, %r320, %r321}, [%rd114+16];
	bra.uni 	$L__BB1_61;

$L__BB1_57:
	setp.eq.s32 	%p40, %r88, 2;
	@%p40 bra 	$L__BB1_59;
	bra.uni 	$L__BB1_58;

$L__BB1_59:
	mov.u32 	%r315, 0;
	shr.u64 	%rd111, %rd144, 1;
	add.s64 	%rd112, %rd35, %rd111;
	ld.v2.u32 	{%r318, %r317}, [%rd112];
	mov.u32 	%r314, %r276;
	mov.u32 	%r316, %r315;
	mov.u32 	%r319, %r289;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;
	bra.uni 	$L__BB1_61;

$L__BB1_58:
	add.s64 	%rd110, %rd35, %rd144;
	ld.v4.u32 	{%r318, %r317, %r316, %r315}, [%rd110];
	mov.u32 	%r314, %r276;
	mov.u32 	%r319, %r289;
	mov.u32 	%r320, %r290;
	mov.u32 	%r321, %r291;

$L__BB1_61:
	mad.lo.s32 	%r267, %r312, 48, %r1;
	add.s32 	%r327, %r267, 512;
	add.s64 	%rd142, %rd142, %rd2;
	mul.wide.u32 	%rd115, %r312, 48;
	add.s64 	%rd116, %rd42, %rd115;
	add.s64 	%rd143, %rd116, 512;
	mov.u32 	%r291, %r321;
	mov.u32 	%r290, %r320;
	mov.u32 	%r289, %r319;
	mov.u32 	%r276, %r314;

$L__BB1_62:
	setp.eq.s64 	%p41, %rd140, 0;
	@%p41 bra 	$L__BB1_82;

	ld.shared.u32 	%r238, [%r311+20];
	setp.ne.s32 	%p42, %r238, 16;
	mov.u16 	%rs71, 0;
	@%p42 bra 	$L__BB1_65;

	add.s32 	%r256, %r311, 20;
	ld.shared.u32 	%rd117, [%r256+-4];
	sub.s64 	%rd118, %rd117, %rd141;
	setp.gt.u64 	%p43, %rd118, 15;
	selp.u16 	%rs71, 1, 0, %p43;

$L__BB1_65:
	setp.eq.s16 	%p44, %rs71, 0;
	@%p44 bra 	$L__BB1_71;

	add.s32 	%r257, %r311, 20;
	ld.shared.u32 	%r122, [%r257+4];
	setp.eq.s32 	%p45, %r122, 1;
	@%p45 bra 	$L__BB1_69;
	bra.uni 	$L__BB1_67;

$L__BB1_69:
	mov.b32 	%f1, %r302;
	// begin inline asm
	cvt.rn.f16.f32 %rs32, %f1;
	// end inline asm
	mov.b32 	%f2, %r301;
	// begin inline asm
	cvt.rn.f16.f32 %rs33, %f2;
	// end inline asm
	mov.b32 	%f3, %r300;
	// begin inline asm
	cvt.rn.f16.f32 %rs34, %f3;
	// end inline asm
	mov.b32 	%f4, %r299;
	// begin inline asm
	cvt.rn.f16.f32 %rs35, %f4;
	// end inline asm
	mov.b32 	%f5, %r284;
	// begin inline asm
	cvt.rn.f16.f32 %rs36, %f5;
	// end inline asm
	mov.b32 	%f6, %r283;
	// begin inline asm
	cvt.rn.f16.f32 %rs37, %f6;
	// end inline asm
	mov.b32 	%f7, %r282;
	// begin inline asm
	cvt.rn.f16.f32 %rs38, %f7;
	// end inline asm
	mov.b32 	%f8, %r281;
	// begin inline asm
	cvt.rn.f16.f32 %rs39, %f8;
	// end inline asm
	mov.b32 	%r335, {%rs38, %rs39};
	mov.b32 	%r334, {%rs36, %rs37};
	mov.b32 	%r333, {%rs34, %rs35};
	mov.b32 	%r332, {%rs32, %rs33};
	bra.uni 	$L__BB1_70;

$L__BB1_71:
	{ // callseq 1, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd140;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd141;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 1
	bra.uni 	$L__BB1_72;

$L__BB1_67:
	setp.ne.s32 	%p46, %r122, 2;
	mov.u32 	%r332, %r302;
	mov.u32 	%r333, %r301;
	mov.u32 	%r334, %r300;
	mov.u32 	%r335, %r299;
	@%p46 bra 	$L__BB1_70;

	cvt.u16.u32 	%rs28, %r302;
	and.b16  	%rs13, %rs28, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs12, %rs13;
	// end inline asm
	shr.u16 	%rs15, %rs28, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs14, %rs15;
	// end inline asm
	shr.u32 	%r239, %r302, 16;
	cvt.u16.u32 	%rs29, %r239;
	and.b16  	%rs17, %rs29, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs16, %rs17;
	// end inline asm
	shr.u32 	%r240, %r302, 24;
	cvt.u16.u32 	%rs19, %r240;
	// begin inline asm
	cvt.rn.f16.u16 %rs18, %rs19;
	// end inline asm
	cvt.u16.u32 	%rs30, %r301;
	and.b16  	%rs21, %rs30, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs20, %rs21;
	// end inline asm
	shr.u16 	%rs23, %rs30, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs22, %rs23;
	// end inline asm
	shr.u32 	%r241, %r301, 16;
	cvt.u16.u32 	%rs31, %r241;
	and.b16  	%rs25, %rs31, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs24, %rs25;
	// end inline asm
	shr.u32 	%r242, %r301, 24;
	cvt.u16.u32 	%rs27, %r242;
	// begin inline asm
	cvt.rn.f16.u16 %rs26, %rs27;
	// end inline asm
	mov.b32 	%r334, {%rs20, %rs22};
	mov.b32 	%r332, {%rs12, %rs14};
	mov.b32 	%r335, {%rs24, %rs26};
	mov.b32 	%r333, {%rs16, %rs18};

$L__BB1_70:
	add.s32 	%r258, %r311, 20;
	ld.shared.u64 	%rd119, [%r258+-12];
	add.s64 	%rd120, %rd119, %rd141;
	st.v4.u32 	[%rd120], {%r332, %r333, %r334, %r335};

$L__BB1_72:
	setp.eq.s64 	%p47, %rd143, 0;
	@%p47 bra 	$L__BB1_82;

	ld.shared.u32 	%r243, [%r327+20];
	setp.ne.s32 	%p48, %r243, 16;
	mov.u16 	%rs72, 0;
	@%p48 bra 	$L__BB1_75;

	add.s32 	%r259, %r327, 20;
	ld.shared.u32 	%rd121, [%r259+-4];
	sub.s64 	%rd122, %rd121, %rd144;
	setp.gt.u64 	%p49, %rd122, 15;
	selp.u16 	%rs72, 1, 0, %p49;

$L__BB1_75:
	setp.eq.s16 	%p50, %rs72, 0;
	@%p50 bra 	$L__BB1_81;

	add.s32 	%r260, %r327, 20;
	ld.shared.u32 	%r140, [%r260+4];
	setp.eq.s32 	%p51, %r140, 1;
	@%p51 bra 	$L__BB1_79;
	bra.uni 	$L__BB1_77;

$L__BB1_79:
	mov.b32 	%f9, %r318;
	// begin inline asm
	cvt.rn.f16.f32 %rs61, %f9;
	// end inline asm
	mov.b32 	%f10, %r317;
	// begin inline asm
	cvt.rn.f16.f32 %rs62, %f10;
	// end inline asm
	mov.b32 	%f11, %r316;
	// begin inline asm
	cvt.rn.f16.f32 %rs63, %f11;
	// end inline asm
	mov.b32 	%f12, %r315;
	// begin inline asm
	cvt.rn.f16.f32 %rs64, %f12;
	// end inline asm
	mov.b32 	%f13, %r276;
	// begin inline asm
	cvt.rn.f16.f32 %rs65, %f13;
	// end inline asm
	mov.b32 	%f14, %r289;
	// begin inline asm
	cvt.rn.f16.f32 %rs66, %f14;
	// end inline asm
	mov.b32 	%f15, %r290;
	// begin inline asm
	cvt.rn.f16.f32 %rs67, %f15;
	// end inline asm
	mov.b32 	%f16, %r291;
	// begin inline asm
	cvt.rn.f16.f32 %rs68, %f16;
	// end inline asm
	mov.b32 	%r339, {%rs67, %rs68};
	mov.b32 	%r338, {%rs65, %rs66};
	mov.b32 	%r337, {%rs63, %rs64};
	mov.b32 	%r336, {%rs61, %rs62};
	bra.uni 	$L__BB1_80;

$L__BB1_81:
	{ // callseq 2, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd143;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd144;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy, 
	(
	param0, 
	param1
	);
	} // callseq 2
	bra.uni 	$L__BB1_82;

$L__BB1_77:
	setp.ne.s32 	%p52, %r140, 2;
	mov.u32 	%r336, %r318;
	mov.u32 	%r337, %r317;
	mov.u32 	%r338, %r316;
	mov.u32 	%r339, %r315;
	@%p52 bra 	$L__BB1_80;

	cvt.u16.u32 	%rs57, %r318;
	and.b16  	%rs42, %rs57, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs41, %rs42;
	// end inline asm
	shr.u16 	%rs44, %rs57, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs43, %rs44;
	// end inline asm
	shr.u32 	%r244, %r318, 16;
	cvt.u16.u32 	%rs58, %r244;
	and.b16  	%rs46, %rs58, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs45, %rs46;
	// end inline asm
	shr.u32 	%r245, %r318, 24;
	cvt.u16.u32 	%rs48, %r245;
	// begin inline asm
	cvt.rn.f16.u16 %rs47, %rs48;
	// end inline asm
	cvt.u16.u32 	%rs59, %r317;
	and.b16  	%rs50, %rs59, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs49, %rs50;
	// end inline asm
	shr.u16 	%rs52, %rs59, 8;
	// begin inline asm
	cvt.rn.f16.u16 %rs51, %rs52;
	// end inline asm
	shr.u32 	%r246, %r317, 16;
	cvt.u16.u32 	%rs60, %r246;
	and.b16  	%rs54, %rs60, 255;
	// begin inline asm
	cvt.rn.f16.u16 %rs53, %rs54;
	// end inline asm
	shr.u32 	%r247, %r317, 24;
	cvt.u16.u32 	%rs56, %r247;
	// begin inline asm
	cvt.rn.f16.u16 %rs55, %rs56;
	// end inline asm
	mov.b32 	%r338, {%rs49, %rs51};
	mov.b32 	%r336, {%rs41, %rs43};
	mov.b32 	%r339, {%rs53, %rs55};
	mov.b32 	%r337, {%rs45, %rs47};

$L__BB1_80:
	add.s32 	%r261, %r327, 20;
	ld.shared.u64 	%rd123, [%r261+-12];
	add.s64 	%rd124, %rd123, %rd144;
	st.v4.u32 	[%rd124], {%r336, %r337, %r338, %r339};

$L__BB1_82:
	ld.shared.u64 	%rd136, [%r1+6664];
	setp.lt.u64 	%p53, %rd142, %rd136;
	@%p53 bra 	$L__BB1_34;

$L__BB1_83:
	bar.sync 	0;
	ld.local.u32 	%r270, [%rd1];
	add.s32 	%r271, %r271, 128;
	setp.lt.u32 	%p54, %r271, %r270;
	@%p54 bra 	$L__BB1_2;

$L__BB1_84:
	ret;

}
	// .globl	plan_scatter
.visible .entry plan_scatter(
	.param .u64 plan_scatter_param_0,
	.param .u64 plan_scatter_param_1
)
.maxntid 512, 1, 1
{
	.local .align 8 .b8 	__local_depot2[24];
	.reg .b64 	%SP;
	.reg .b64 	%SPL;
	.reg .pred 	%p<6>;
	.reg .b16 	%rs<2>;
	.reg .b32 	%r<14>;
	.reg .b64 	%rd<11>;
	// demoted variable
	.shared .align 8 .b8 _ZZ12plan_scatterE4work[6672];

	mov.u64 	%SPL, __local_depot2;
	cvta.local.u64 	%SP, %SPL;
	ld.param.u64 	%rd3, [plan_scatter_param_0];
	ld.param.u64 	%rd4, [plan_scatter_param_1];
	cvta.to.global.u64 	%rd1, %rd4;
	mov.u32 	%r1, %tid.x;
	setp.gt.u32 	%p1, %r1, 27;
	@%p1 bra 	$L__BB2_2;

	mul.wide.u32 	%rd5, %r1, 8;
	add.s64 	%rd6, %rd1, %rd5;
	ld.volatile.global.u64 	%rd7, [%rd6+32];
	shl.b32 	%r3, %r1, 3;
	mov.u32 	%r4, _ZZ12plan_scatterE4work;
	add.s32 	%r5, %r4, %r3;
	st.shared.u64 	[%r5], %rd7;

$L__BB2_2:
	bar.sync 	0;
	mov.u32 	%r6, 8;
	add.u64 	%rd8, %SP, 0;
	add.u64 	%rd9, %SPL, 0;
	st.local.u32 	[%rd9+16], %r6;
	mov.u16 	%rs1, 0;
	st.local.v4.u8 	[%rd9+20], {%rs1, %rs1, %rs1, %rs1};
	st.local.u64 	[%rd9], %rd3;
	mov.u32 	%r7, _ZZ12plan_scatterE4work;
	ld.shared.u32 	%r8, [_ZZ12plan_scatterE4work+16];
	ld.shared.u32 	%r9, [_ZZ12plan_scatterE4work+12];
	st.local.v2.u32 	[%rd9+8], {%r9, %r8};
	{ .reg .b64 %tmp;
	  cvt.u64.u32 	%tmp, %r7;
	  cvta.shared.u64 	%rd10, %tmp; }
	{ // callseq 3, 0
	.reg .b32 temp_param_reg;
	.param .b64 param0;
	st.param.b64 	[param0+0], %rd10;
	.param .b64 param1;
	st.param.b64 	[param1+0], %rd8;
	call.uni 
	_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f9carry_outERNS0_4WorkERKNS0_5MovesE, 
	(
	param0, 
	param1
	);
	} // callseq 3
	bar.sync 	0;
	setp.ne.s32 	%p2, %r1, 0;
	@%p2 bra 	$L__BB2_8;

	membar.sys;
	mov.u32 	%r2, %nctaid.x;
	setp.lt.u32 	%p3, %r2, 2;
	@%p3 bra 	$L__BB2_6;

	atom.global.add.u32 	%r10, [%rd1], 1;
	add.s32 	%r11, %r2, -1;
	setp.ne.s32 	%p4, %r10, %r11;
	@%p4 bra 	$L__BB2_8;

	mov.u32 	%r12, 0;
	st.global.u32 	[%rd1], %r12;
	membar.sys;

$L__BB2_6:
	ld.shared.u64 	%rd2, [_ZZ12plan_scatterE4work];
	setp.eq.s64 	%p5, %rd2, 0;
	@%p5 bra 	$L__BB2_8;

	ld.shared.u32 	%r13, [_ZZ12plan_scatterE4work+8];
	st.volatile.u32 	[%rd2], %r13;

$L__BB2_8:
	ret;

}
.func _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy(
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0,
	.param .b64 _ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1
)
{
	.reg .pred 	%p<25>;
	.reg .b16 	%rs<38>;
	.reg .f32 	%f<2>;
	.reg .b32 	%r<43>;
	.reg .b64 	%rd<90>;

	ld.param.u64 	%rd37, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_0];
	ld.param.u64 	%rd36, [_ZN44_INTERNAL_0884a15a_13_plan_frame_cu_b021fa6f46_GLOBAL__N__0884a15a_13_plan_frame_cu_b021fa6f5carryERKNS0_4PartEy_param_1];
	{ .reg .b64 %tmp;
	  cvta.to.shared.u64 	%tmp, %rd37;
	  cvt.u32.u64 	%r4, %tmp; }
	ld.shared.v2.u32 	{%r5, %r6}, [%r4+16];
	cvt.u64.u32 	%rd1, %r5;
	sub.s64 	%rd2, %rd1, %rd36;
	cvt.u64.u32 	%rd3, %r6;
	min.u64 	%rd4, %rd2, %rd3;
	ld.shared.u32 	%r9, [%r4+24];
	setp.eq.s32 	%p1, %r9, 0;
	@%p1 bra 	$L__BB3_9;

	setp.lt.u64 	%p2, %rd4, 2;
	@%p2 bra 	$L__BB3_45;

	shl.b64 	%rd81, %rd36, 1;
	mov.u64 	%rd83, 1;

$L__BB3_3:
	add.s32 	%r22, %r4, 16;
	ld.shared.u64 	%rd9, [%r22+-16];
	setp.eq.s64 	%p3, %rd9, 0;
	@%p3 bra 	$L__BB3_6;

	add.s32 	%r23, %r4, 16;
	ld.shared.u32 	%r10, [%r23+8];
	setp.ne.s32 	%p4, %r10, 1;
	@%p4 bra 	$L__BB3_6;

	add.s64 	%rd39, %rd81, %rd9;
	ld.u8 	%r11, [%rd39];
	ld.u8 	%r12, [%rd39+1];
	prmt.b32 	%r13, %r12, %r11, 30212;
	ld.u8 	%r14, [%rd39+2];
	prmt.b32 	%r15, %r14, %r13, 28756;
	ld.u8 	%r16, [%rd39+3];
	prmt.b32 	%r17, %r16, %r15, 1620;
	mov.b32 	%f1, %r17;
	// begin inline asm
	cvt.rn.f16.f32 %rs30, %f1;
	// end inline asm
	bra.uni 	$L__BB3_8;

$L__BB3_6:
	mov.u16 	%rs30, 0;
	@%p3 bra 	$L__BB3_8;

	shr.u64 	%rd40, %rd36, 1;
	add.s64 	%rd41, %rd9, %rd40;
	ld.u8 	%rs21, [%rd41];
	// begin inline asm
	cvt.rn.f16.u16 %rs30, %rs21;
	// end inline asm

$L__BB3_8:
	add.s32 	%r24, %r4, 16;
	ld.shared.u64 	%rd42, [%r24+-8];
	add.s64 	%rd43, %rd36, %rd42;
	st.u8 	[%rd43], %rs30;
	shr.u16 	%rs22, %rs30, 8;
	st.u8 	[%rd43+1], %rs22;
	add.s64 	%rd36, %rd36, 2;
	add.s64 	%rd81, %rd81, 4;
	add.s64 	%rd83, %rd83, 2;
	setp.lt.u64 	%p6, %rd83, %rd4;
	@%p6 bra 	$L__BB3_3;
	bra.uni 	$L__BB3_45;

$L__BB3_9:
	setp.lt.u64 	%p7, %rd2, %rd3;
	@%p7 bra 	$L__BB3_25;
	bra.uni 	$L__BB3_10;

$L__BB3_25:
	setp.eq.s64 	%p15, %rd4, 0;
	@%p15 bra 	$L__BB3_45;

	add.s64 	%rd58, %rd4, -1;
	and.b64  	%rd18, %rd4, 3;
	setp.lt.u64 	%p16, %rd58, 3;
	mov.u64 	%rd87, 0;
	@%p16 bra 	$L__BB3_40;

	add.s64 	%rd60, %rd36, -1;
	sub.s64 	%rd61, %rd60, %rd1;
	not.b64 	%rd62, %rd3;
	max.u64 	%rd63, %rd61, %rd62;
	add.s64 	%rd64, %rd63, %rd18;
	add.s64 	%rd19, %rd64, 1;
	mov.u64 	%rd87, 0;
	mov.u64 	%rd85, %rd36;

$L__BB3_28:
	add.s32 	%r32, %r4, 16;
	ld.shared.u64 	%rd22, [%r32+-16];
	setp.eq.s64 	%p17, %rd22, 0;
	mov.u16 	%rs33, 0;
	@%p17 bra 	$L__BB3_30;

	add.s64 	%rd65, %rd85, %rd22;
	ld.u8 	%rs33, [%rd65];

$L__BB3_30:
	add.s32 	%r33, %r4, 16;
	ld.shared.u64 	%rd66, [%r33+-8];
	add.s64 	%rd67, %rd85, %rd66;
	st.u8 	[%rd67], %rs33;
	add.s32 	%r34, %r4, 16;
	ld.shared.u64 	%rd23, [%r34+-16];
	setp.eq.s64 	%p18, %rd23, 0;
	@%p18 bra 	$L__BB3_32;

	add.s64 	%rd68, %rd85, %rd23;
	ld.u8 	%rs34, [%rd68+1];
	bra.uni 	$L__BB3_33;

$L__BB3_32:
	mov.u16 	%rs34, 0;

$L__BB3_33:
	add.s32 	%r35, %r4, 16;
	ld.shared.u64 	%rd69, [%r35+-8];
	add.s64 	%rd70, %rd85, %rd69;
	st.u8 	[%rd70+1], %rs34;
	add.s32 	%r36, %r4, 16;
	ld.shared.u64 	%rd24, [%r36+-16];
	setp.eq.s64 	%p19, %rd24, 0;
	@%p19 bra 	$L__BB3_35;

	add.s64 	%rd71, %rd85, %rd24;
	ld.u8 	%rs35, [%rd71+2];
	bra.uni 	$L__BB3_36;

$L__BB3_35:
	mov.u16 	%rs35, 0;

$L__BB3_36:
	add.s32 	%r37, %r4, 16;
	ld.shared.u64 	%rd72, [%r37+-8];
	add.s64 	%rd73, %rd85, %rd72;
	st.u8 	[%rd73+2], %rs35;
	add.s32 	%r38, %r4, 16;
	ld.shared.u64 	%rd25, [%r38+-16];
	setp.eq.s64 	%p20, %rd25, 0;
	@%p20 bra 	$L__BB3_38;

	add.s64 	%rd74, %rd85, %rd25;
	ld.u8 	%rs36, [%rd74+3];
	bra.uni 	$L__BB3_39;

$L__BB3_38:
	mov.u16 	%rs36, 0;

$L__BB3_39:
	add.s32 	%r39, %r4, 16;
	ld.shared.u64 	%rd75, [%r39+-8];
	add.s64 	%rd76, %rd85, %rd75;
	st.u8 	[%rd76+3], %rs36;
	add.s64 	%rd85, %rd85, 4;
	add.s64 	%rd87, %rd87, 4;
	add.s64 	%rd77, %rd19, %rd87;
	setp.ne.s64 	%p21, %rd77, 0;
	@%p21 bra 	$L__BB3_28;

$L__BB3_40:
	setp.eq.s64 	%p22, %rd18, 0;
	@%p22 bra 	$L__BB3_45;

	add.s64 	%rd89, %rd87, %rd36;
	neg.s64 	%rd88, %rd18;

$L__BB3_42:
	.pragma "nounroll";
	add.s32 	%r40, %r4, 16;
	ld.shared.u64 	%rd33, [%r40+-16];
	setp.eq.s64 	%p23, %rd33, 0;
	mov.u16 	%rs37, 0;
	@%p23 bra 	$L__BB3_44;

	add.s64 	%rd78, %rd89, %rd33;
	ld.u8 	%rs37, [%rd78];

$L__BB3_44:
	add.s32 	%r41, %r4, 16;
	ld.shared.u64 	%rd79, [%r41+-8];
	add.s64 	%rd80, %rd89, %rd79;
	st.u8 	[%rd80], %rs37;
	add.s64 	%rd89, %rd89, 1;
	add.s64 	%rd88, %rd88, 1;
	setp.ne.s64 	%p24, %rd88, 0;
	@%p24 bra 	$L__BB3_42;
	bra.uni 	$L__BB3_45;

$L__BB3_10:
	cvt.u32.u64 	%r18, %rd3;
	setp.eq.s32 	%p8, %r18, 8;
	@%p8 bra 	$L__BB3_22;
	bra.uni 	$L__BB3_11;

$L__BB3_22:
	add.s32 	%r30, %r4, 16;
	ld.shared.u64 	%rd15, [%r30+-16];
	setp.eq.s64 	%p14, %rd15, 0;
	mov.u64 	%rd84, 0;
	@%p14 bra 	$L__BB3_24;

	add.s64 	%rd54, %rd15, %rd36;
	ld.u64 	%rd84, [%rd54];

$L__BB3_24:
	add.s32 	%r31, %r4, 16;
	ld.shared.u64 	%rd55, [%r31+-8];
	add.s64 	%rd56, %rd55, %rd36;
	st.u64 	[%rd56], %rd84;
	bra.uni 	$L__BB3_45;

$L__BB3_11:
	setp.eq.s32 	%p9, %r18, 4;
	@%p9 bra 	$L__BB3_19;
	bra.uni 	$L__BB3_12;

$L__BB3_19:
	add.s32 	%r28, %r4, 16;
	ld.shared.u64 	%rd14, [%r28+-16];
	mov.u32 	%r42, 0;
	setp.eq.s64 	%p13, %rd14, 0;
	@%p13 bra 	$L__BB3_21;

	add.s64 	%rd50, %rd14, %rd36;
	ld.u32 	%r42, [%rd50];

$L__BB3_21:
	add.s32 	%r29, %r4, 16;
	ld.shared.u64 	%rd51, [%r29+-8];
	add.s64 	%rd52, %rd51, %rd36;
	st.u32 	[%rd52], %r42;
	bra.uni 	$L__BB3_45;

$L__BB3_12:
	setp.eq.s32 	%p10, %r18, 2;
	add.s32 	%r25, %r4, 16;
	ld.shared.u64 	%rd13, [%r25+-16];
	@%p10 bra 	$L__BB3_16;
	bra.uni 	$L__BB3_13;

$L__BB3_16:
	setp.eq.s64 	%p12, %rd13, 0;
	mov.u16 	%rs32, 0;
	@%p12 bra 	$L__BB3_18;

	add.s64 	%rd47, %rd13, %rd36;
	ld.u16 	%rs32, [%rd47];

$L__BB3_18:
	add.s32 	%r27, %r4, 16;
	ld.shared.u64 	%rd48, [%r27+-8];
	add.s64 	%rd49, %rd48, %rd36;
	st.u16 	[%rd49], %rs32;
	bra.uni 	$L__BB3_45;

$L__BB3_13:
	setp.eq.s64 	%p11, %rd13, 0;
	mov.u16 	%rs31, 0;
	@%p11 bra 	$L__BB3_15;

	add.s64 	%rd44, %rd13, %rd36;
	ld.u8 	%rs31, [%rd44];

$L__BB3_15:
	add.s32 	%r26, %r4, 16;
	ld.shared.u64 	%rd45, [%r26+-8];
	add.s64 	%rd46, %rd45, %rd36;
	st.u8 	[%rd46], %rs31;

$L__BB3_45:
	ret;

}
)ptx";

}  // namespace tessera::device
